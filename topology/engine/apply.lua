-- Step 7: write a batch of one partition if, and only if, its checkpoint is the expected one (rule 2).
-- KEYS: dossiers (hash), timers (sorted set); both carry the partition's hash tag.
-- ARGV: expected checkpoint ('' for none), new checkpoint, then (key, dossier or '', due or '') for each write.
-- The checkpoint is a field of the hash, and a member of the sorted set with the score -(checkpoint + 1), so that
-- whoever reads either one sees which fold it belongs to.
local found = redis.call('HGET', KEYS[1], '\0checkpoint') or ''
if found ~= ARGV[1] then
  return {0, found}
end
local fields, scores, gone = {'\0checkpoint', ARGV[2]}, {-(tonumber(ARGV[2]) + 1), '\0checkpoint'}, {}
local function send(command, key, args)
  if #args > 0 then redis.call(command, key, unpack(args)) end
end
for i = 3, #ARGV, 3 do
  local key, dossier, due = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if dossier == '' then
    redis.call('HDEL', KEYS[1], key)
  else
    fields[#fields + 1] = key
    fields[#fields + 1] = dossier
  end
  if due == '' then
    gone[#gone + 1] = key
  else
    scores[#scores + 1] = due
    scores[#scores + 1] = key
  end
  if #fields > 2000 then send('HSET', KEYS[1], fields); fields = {} end
  if #scores > 2000 then send('ZADD', KEYS[2], scores); scores = {} end
  if #gone > 2000 then send('ZREM', KEYS[2], gone); gone = {} end
end
send('HSET', KEYS[1], fields)
send('ZADD', KEYS[2], scores)
send('ZREM', KEYS[2], gone)
return {1, ARGV[2]}
