-- Removes index entries that fit no record. Each is tried here once more, in one step with its removal: what a reader
-- found before may have been written since.
--
-- KEYS  index, then the records
-- ARGV  for each record the entry, the column that it is about ('' if the record need only be there), and its value
local index = KEYS[1]
for at = 2, #KEYS do
    local record = KEYS[at]
    local entry, column, value = unpack(ARGV, 3 * at - 5, 3 * at - 3)
    local fits
    if column == '' then
        fits = redis.call('EXISTS', record) == 1
    else
        fits = redis.call('HGET', record, column) == value
    end
    if not fits then redis.call('ZREM', index, entry) end
end
return redis.status_reply('OK')
