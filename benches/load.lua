-- `-- orders HOST`: orders of one copy of a random book, whose ids are the numbers 1 to 1000, as benches/orders.rs enters them.
-- `-- looks HOST`: a page of the catalogue.
local prefix, what, headers

function init(args)
  math.randomseed(os.time())
  prefix = wrk.path == "/" and "" or wrk.path
  what = args[1]
  headers = { ["Host"] = args[2], ["Content-Type"] = "application/json", ["Authorization"] = "Basic YWxpY2VAY3VzdG9tZXIuY29tOmFsaWNlMTIz" }
end

function request()
  if what == "looks" then
    return wrk.format("GET", prefix .. "/books?limit=20", { ["Host"] = headers["Host"] })
  end
  local id = string.format("00000000-0000-4000-8000-%012x", math.random(1000))
  return wrk.format("POST", prefix .. "/orders", headers, '{"items":[{"bookId":"' .. id .. '","quantity":1}]}')
end

function done(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %d %.3f %.1f %.1f %d\n", summary.requests - summary.errors.status,
    summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, summary.errors.status + failed))
end
