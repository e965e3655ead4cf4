-- Writes a record if the stored version is the expected one. The server takes nothing back when a command fails, so
-- what a user may lack the right for comes before the record is changed, and what is only taken away comes after.
--
-- KEYS  record, index, due
-- ARGV  expected version ('' for none), channel ('' for silence), message, key's columns, the same with the client
--       first, purge_at ('' for never), then the record's fields and values
local record, index, due = KEYS[1], KEYS[2], KEYS[3]
local expected, channel, message, key, by_client, purge_at = unpack(ARGV, 1, 6)

local old = redis.call('HMGET', record, 'version', 'issuer', 'subject', 'sid',
    'access_expires_at', 'grant_expires_at', 'purge_at')
if expected == '' then
    if redis.call('EXISTS', record) == 1 then return 0 end
elseif old[1] ~= expected then
    return 0
end

local new = {}
for at = 7, #ARGV, 2 do new[ARGV[at]] = ARGV[at + 1] end

-- What stands before a line feed has none itself, nor what stands for one.
local escapes = { ['\\'] = '\\\\', ['\n'] = '\\n' }
local function entry(kind, value)
    return kind .. string.gsub(value, '[\\\n]', escapes) .. '\n' .. key
end

-- The first write needs memory: a full server refuses that, and nothing after another write.
redis.call('ZADD', index, 0, 'k' .. key, 0, 'c' .. by_client)
-- Removes nothing, but finds out now whether the user may.
redis.call('ZREM', index, '')
if new.subject then redis.call('ZADD', index, 0, entry('s', new.subject)) end
if new.sid then redis.call('ZADD', index, 0, entry('i', new.sid)) end
if purge_at ~= '' then redis.call('ZADD', due, purge_at, key) end
if channel ~= '' then redis.call('PUBLISH', channel, message) end

local gone = {}
for at, column in ipairs({ 'issuer', 'subject', 'sid', 'access_expires_at', 'grant_expires_at', 'purge_at' }) do
    if old[at + 1] and not new[column] then gone[#gone + 1] = column end
end
if #gone > 0 then
    -- Changes nothing, for the same reason.
    redis.call('HSET', record, 'version', expected)
    redis.call('HDEL', record, unpack(gone))
end
redis.call('HSET', record, unpack(ARGV, 7))

if old[3] and old[3] ~= new.subject then redis.call('ZREM', index, entry('s', old[3])) end
if old[4] and old[4] ~= new.sid then redis.call('ZREM', index, entry('i', old[4])) end
if old[7] and purge_at == '' then redis.call('ZREM', due, key) end
return 1
