-- A worker says hello, and again each second: what its hub knows of accounts,
-- of which Redis may have it as it was.
--
-- Keys: one an account.
-- Arguments: 4 from where on the accounts are listed of which this hub owes
-- something; then six an account: id, row, seq, available, owed, version.
-- Answer: the epoch (when Redis began to know anything), how long ago that is,
-- then account and row of up to 128 of the list.
local epoch = redis.call('GET', KEYS[1]) or string.format('%.0f', now)

-- written each time: a Redis that takes nothing is none
redis.call('SET', KEYS[1], epoch, 'PX', DAY)
for i = 0, #KEYS - 3 do
	local arg = 5 + i * 6
	tell(KEYS[3 + i], ARGV[arg], ARGV[arg + 1], ARGV[arg + 2],
	    ARGV[arg + 3], ARGV[arg + 4], ARGV[arg + 5])
	redis.call('PEXPIRE', KEYS[3 + i], DAY)
	redis.call('PEXPIRE', KEYS[2], DAY)
end

local from = tonumber(ARGV[4])
local answer = {tonumber(epoch), math.max(now - tonumber(epoch), 0)}
for i, v in ipairs(redis.call('ZRANGE', KEYS[2], from, from + 127,
    'WITHSCORES')) do
	answer[i + 2] = tonumber(v)
end
return answer
