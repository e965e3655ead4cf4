-- Removes those of the given records that are due, and puts the entries of the others right. Answers how many were due.
--
-- KEYS  index, due, then the records
-- ARGV  the time, then for each record its key's columns, and the same with the client first ('' if they are no key)
local index, due = KEYS[1], KEYS[2]
local before = tonumber(ARGV[1])
local removed = 0
local escapes = { ['\\'] = '\\\\', ['\n'] = '\\n' }
local function entry(kind, value, key)
    return kind .. string.gsub(value, '[\\\n]', escapes) .. '\n' .. key
end
for at = 3, #KEYS do
    local record, key, by_client = KEYS[at], ARGV[2 * at - 4], ARGV[2 * at - 3]
    local there = redis.call('TYPE', record).ok
    local old = {}
    if there == 'hash' and by_client ~= '' then
        old = redis.call('HMGET', record, 'purge_at', 'subject', 'sid')
    end
    -- What is no number is left alone: tonumber would also take hexadecimal and infinity.
    local purge_at = old[1] and string.match(old[1], '^%-?%d+$') and tonumber(old[1])
    local is_due = purge_at and purge_at < before
    if is_due then
        redis.call('DEL', record)
        removed = removed + 1
    end
    if is_due or there == 'none' then
        redis.call('ZREM', index, 'k' .. key, 'c' .. by_client)
        if old[2] then redis.call('ZREM', index, entry('s', old[2], key)) end
        if old[3] then redis.call('ZREM', index, entry('i', old[3], key)) end
    end
    if purge_at and not is_due then
        redis.call('ZADD', due, old[1], key)
    else
        redis.call('ZREM', due, key)
    end
end
return removed
