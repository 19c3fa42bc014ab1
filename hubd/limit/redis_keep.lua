-- Makes leases what their worker says: renews them, makes anew what Redis has
-- lost, changes a hold to a cost, takes away. Twice does what once does.
--
-- Keys: five a lease: the account, its leases (two), the key's calls, its
-- buckets.
-- Arguments: twelve a lease: its id, account, row, seq, available, owed,
-- version, kind ('h' holds, 'c' cost, '-' gone), amount, whether it counts as
-- a call of its key, and the times that the buckets get back when it holds no
-- longer (below 0: that were used beyond).
-- Answer: 0, or 4: lost.

local function give_back(r, q_back, t_back)
	if q_back == 0 and t_back == 0 then
		return
	end
	local q, t = buckets(r)
	set_buckets(r, math.max(q - q_back, now), math.max(t - t_back, now))
end

local function keep_one(key, arg)
	local a, l, h, c, r = KEYS[key], KEYS[key + 1], KEYS[key + 2],
	    KEYS[key + 3], KEYS[key + 4]
	local id, kind = ARGV[arg], ARGV[arg + 7]
	local old = redis.call('HGET', h, id)

	if kind == '-' then
		drop(l, h, id)
	else
		put(l, h, id, kind, ARGV[arg + 8])
	end
	if kind ~= '-' and ARGV[arg + 9] == '1' then
		redis.call('ZADD', c, now + ttl, id)
		keep(c)
	else
		redis.call('ZREM', c, id)
	end
	if old and old:sub(1, 1) == 'h' and kind ~= 'h' then
		give_back(r, tonumber(ARGV[arg + 10]),
		    tonumber(ARGV[arg + 11]))
	end
	tell(a, ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4],
	    ARGV[arg + 5], ARGV[arg + 6])
end

if lost() then
	return {4}
end
for i = 0, (#KEYS - 2) / 5 - 1 do
	keep_one(3 + i * 5, 4 + i * 12)
end
return {0}
