-- Checks all that limits a call, then takes all; a refusal takes nothing.
--
-- Keys: 3 the account, 4 and 5 its leases, 6 the key's calls, 7 its buckets.
-- Arguments: 4 the lease, 5 account, 6 row, 7 seq, 8 available, 9 owed,
-- 10 version, 11 the hold, 12 'strict', 'soft' or 'unlimited', 13 how many
-- calls the key may have (0: any number), 14 and 15 the times that a request
-- and its tokens take of the buckets (0: no limit).
-- Answer: a code (0 admitted; refused for 1 rate, 2 concurrency, 3 balance;
-- 4 lost), what is held, the wait in microseconds of a refusal by rate, and
-- how far either bucket is from full.
local a, l, h, c, r = KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local id, hold, mode = ARGV[4], tonumber(ARGV[11]), ARGV[12]
local most, cost_q, cost_t = tonumber(ARGV[13]), tonumber(ARGV[14]),
    tonumber(ARGV[15])

if lost() then
	return {4, 0, 0, 0, 0}
end
tell(a, ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10])
purge(l, h)

local q, t = buckets(r)
local function answer(code, held, wait)
	return {code, held, wait, q - now, t - now}
end

-- asked before: as it was answered
local old = redis.call('HGET', h, id)
if old then
	return answer(0, tonumber(old:sub(2)), 0)
end

-- More than a whole burst waits for the bucket to be full.
local function missing(at, cost)
	if cost == 0 then
		return 0
	end
	return at + cost - now - math.max(cost, MINUTE)
end
local wait = missing(q, cost_q)
if wait <= 0 then
	wait = missing(t, cost_t)
end
if wait > 0 then
	return answer(1, 0, wait)
end

if most > 0 then
	redis.call('ZREMRANGEBYSCORE', c, '-inf', now)
	if redis.call('ZCARD', c) >= most then
		return answer(2, 0, 0)
	end
end

if mode ~= 'unlimited' then
	local known = redis.call('HGETALL', a)
	local left = -sum_of(h)
	for i = 1, #known, 2 do
		if known[i] == 'available' then
			left = left + tonumber(known[i + 1])
		elseif known[i]:sub(1, 2) == 'o:' then
			left = left - tonumber(known[i + 1])
		end
	end
	if left < hold then
		if mode ~= 'soft' or left <= 0 then
			return answer(3, 0, 0)
		end
		hold = left
	end
end

if cost_q > 0 or cost_t > 0 then
	q = q + cost_q
	t = t + cost_t
	set_buckets(r, q, t)
end
if most > 0 then
	redis.call('ZADD', c, now + ttl, id)
	keep(c)
end
put(l, h, id, 'h', string.format('%.0f', hold))
return answer(0, hold, 0)
