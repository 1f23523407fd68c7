-- wrk's script for tools/bench: which paths are asked for, and the result as a line of numbers.
-- Arguments: a word that is part of every path, what is asked for, and of how many paths:
--   same    one path
--   unique  a new path for each request
--   each    paths 1 to N in turn
--   zipf    paths 1 to N, the nth as often as 1/n says
-- and, if it is to be sent, the value of Accept-Encoding.

local word, kind, most
local count = 0

local function of(n)
   return wrk.format("GET", "/" .. word .. "/" .. n)
end

local function random_rank()
   return math.floor(most ^ math.random())
end

function init(args)
   word, kind, most = args[1], args[2], tonumber(args[3])
   wrk.headers["Host"] = "bench.test"
   wrk.headers["Accept-Encoding"] = args[4]
   if kind == "same" then
      local only = wrk.format("GET", "/" .. word)
      request = function() return only end
   elseif kind == "zipf" then
      local ready = {} -- made once: the figure is the server's, but the load has to keep up
      for n = 1, most do ready[n] = of(n) end
      request = function() return ready[random_rank()] end
   elseif kind == "each" then
      request = function()
         count = count % most + 1
         return of(count)
      end
   end
end

function request()
   count = count + 1
   return of(count)
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format("result %d %d %d %.1f %.1f %.1f %d\n", summary.requests, summary.duration,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
      summary.bytes))
end
