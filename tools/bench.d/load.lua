-- wrk's script for tools/bench: which paths are asked for, and the result as a line of numbers.
-- Arguments: a word that is part of every path, and "same" (one path) or "unique" (a new path
-- for each request).

local word, kind
local count = 0

function init(args)
   word, kind = args[1], args[2]
   wrk.headers["Host"] = "bench.test"
   if kind == "same" then
      local only = wrk.format("GET", "/" .. word)
      request = function() return only end
   end
end

function request()
   count = count + 1
   return wrk.format("GET", "/" .. word .. "/" .. count)
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format("result %d %d %d %.1f %.1f\n", summary.requests, summary.duration,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      latency:percentile(50), latency:percentile(99)))
end
