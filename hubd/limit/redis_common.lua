-- What all scripts begin with.
--
-- Keys: 1 the epoch, 2 the accounts of which this hub owes something, then
-- those of each account and key.
-- Arguments: 1 the epoch that the caller knows, 2 the life of a lease in
-- microseconds, 3 the hub, then the script's own.
--
-- Times are microseconds of Redis's clock, money is nano-dollars. All numbers
-- are whole and below 2^53, where doubles are exact.

local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local ttl = tonumber(ARGV[2])
local hub = ARGV[3]
local DAY = 86400000
local MINUTE = 60000000

-- Redis has forgotten all that the caller has told it.
local function lost()
	return redis.call('GET', KEYS[1]) ~= ARGV[1]
end

-- For a key that may go once no lease can live in it any more.
local function keep(key)
	redis.call('PEXPIRE', key, math.ceil(ttl / 500))
end

-- What a hub knows of an account: what the store had at the account's change
-- number seq, and at this hub's version what it owes: has booked, and the
-- store has not. Of either the newest counts, whoever tells it; an overdraft
-- that changes leaves seq as it is: then it is what was told last.
local function tell(a, account, row, seq, available, owed, version)
	local old = redis.call('HMGET', a, 'seq', 'v:' .. hub, 'available')
	local newer = old[1] and tonumber(seq) - tonumber(old[1]) or 1
	if newer > 0 or newer == 0 and available ~= old[3] then
		redis.call('HSET', a, 'seq', seq, 'available', available)
		redis.call('PEXPIRE', a, DAY)
	end
	if not old[2] or tonumber(version) > tonumber(old[2]) then
		redis.call('HSET', a, 'v:' .. hub, version)
		if owed == '0' then
			redis.call('HDEL', a, 'o:' .. hub)
			redis.call('ZREM', KEYS[2], account)
		else
			redis.call('HSET', a, 'o:' .. hub, owed)
			redis.call('ZADD', KEYS[2], row, account)
			redis.call('PEXPIRE', KEYS[2], DAY)
		end
		redis.call('PEXPIRE', a, DAY)
	end
end

-- The leases of an account: l has when each runs out, h what each holds ('h'
-- and a number while its call runs, 'c' and a number once that is its cost)
-- and their sum.
local function sum_of(h)
	return tonumber(redis.call('HGET', h, 'sum') or 0)
end

local function drop(l, h, id)
	local old = redis.call('HGET', h, id)
	redis.call('ZREM', l, id)
	if redis.call('EXISTS', l) == 0 then
		redis.call('DEL', h)
	elseif old then
		redis.call('HDEL', h, id)
		redis.call('HSET', h, 'sum', sum_of(h) - tonumber(old:sub(2)))
	end
end

local function put(l, h, id, kind, amount)
	local old = redis.call('HGET', h, id)
	local before = old and tonumber(old:sub(2)) or 0
	redis.call('ZADD', l, now + ttl, id)
	redis.call('HSET', h, id, kind .. amount,
	    'sum', sum_of(h) - before + tonumber(amount))
	keep(l)
	keep(h)
end

-- Those of callers that are gone; so many at a time that nobody waits long.
local function purge(l, h)
	local gone = redis.call('ZRANGEBYSCORE', l, '-inf', now,
	    'LIMIT', 0, 500)
	for _, id in ipairs(gone) do
		drop(l, h, id)
	end
end

-- Two buckets of a key, of requests (q) and of tokens (t), as in shm/bucket.c:
-- the time at which each is full again, never before now, nor much later: the
-- clock may have been set back.
local debt = now + 24 * 60 * MINUTE
local function buckets(r)
	local at = redis.call('HMGET', r, 'q', 't')
	return math.min(math.max(tonumber(at[1] or 0), now), debt),
	    math.min(math.max(tonumber(at[2] or 0), now), debt)
end

local function set_buckets(r, q, t)
	q = math.min(q, debt)
	t = math.min(t, debt)
	redis.call('HSET', r, 'q', q, 't', t)
	redis.call('PEXPIRE', r,
	    math.max(1, math.ceil((math.max(q, t) - now) / 1000)))
end
