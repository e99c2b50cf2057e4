-- Step 7: write a batch of one partition if, and only if, its checkpoint is the expected one (rule 2).
-- KEYS: dossiers (hash), timers and index (sorted sets); all carry the partition's hash tag.
-- ARGV: expected checkpoint ('' for none), new checkpoint, how many arguments are terms, then (term, 1 or 0) for each
-- term that comes or goes, then (key, dossier or '', due or '') for each write.
-- Without ARGV it only looks: the answer is the checkpoint of each partition whose three keys are given.
-- The checkpoint is a field of the hash, a member of the timers with the score -(checkpoint + 1), and a member of the
-- index with the checkpoint in its name, as there all scores are 0: whoever reads one of the three sees which fold it
-- belongs to. A key that was lost alone has none, or an older one; writing on would make it look whole.
local NAME = '\0checkpoint'
local function held(dossiers, timers, index)
  local found = redis.call('HGET', dossiers, NAME)
  if not found then
    return redis.call('EXISTS', timers, index) == 0 and '' or 'torn'
  end
  local timed = redis.call('ZSCORE', timers, NAME)
  local indexed = redis.call('ZSCORE', index, NAME .. '\0' .. found)
  if not (timed and indexed) or tonumber(timed) ~= -(tonumber(found) + 1) then return 'torn' end
  return found
end
if #ARGV == 0 then
  local answers = {}
  for i = 1, #KEYS, 3 do answers[#answers + 1] = held(KEYS[i], KEYS[i + 1], KEYS[i + 2]) end
  return answers
end
local found = held(KEYS[1], KEYS[2], KEYS[3])
if found ~= ARGV[1] then
  return {0, found}
end
local states = 4 + tonumber(ARGV[3])
local fields, scores, gone = {NAME, ARGV[2]}, {-(tonumber(ARGV[2]) + 1), NAME}, {}
local added, removed = {0, NAME .. '\0' .. ARGV[2]}, {}
if found ~= '' and found ~= ARGV[2] then removed[1] = NAME .. '\0' .. found end
local function send(command, key, args)
  if #args > 0 then redis.call(command, key, unpack(args)) end
end
for i = 4, states - 1, 2 do
  if ARGV[i + 1] == '1' then
    added[#added + 1] = 0
    added[#added + 1] = ARGV[i]
  else
    removed[#removed + 1] = ARGV[i]
  end
  if #added > 2000 then send('ZADD', KEYS[3], added); added = {} end
  if #removed > 2000 then send('ZREM', KEYS[3], removed); removed = {} end
end
send('ZADD', KEYS[3], added)
send('ZREM', KEYS[3], removed)
for i = states, #ARGV, 3 do
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
