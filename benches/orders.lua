-- One order of one copy of a random book: ids are the numbers 1 to 1000, as benches/orders.rs enters them.
function init()
  math.randomseed(os.time())
end

function request()
  local id = string.format("00000000-0000-4000-8000-%012x", math.random(1000))
  return wrk.format("POST", "/orders", {
    ["Content-Type"] = "application/json",
    ["Authorization"] = "Basic YWxpY2VAY3VzdG9tZXIuY29tOmFsaWNlMTIz",
  }, '{"items":[{"bookId":"' .. id .. '","quantity":1}]}')
end

function done(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %d %.3f %.1f %.1f %d\n", summary.requests - summary.errors.status,
    summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, summary.errors.status + failed))
end
