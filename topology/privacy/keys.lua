-- The view of the users' keys: one hash a partition, whose field '\0at' says how far the topic has been taken in.
-- ARGV[1] says what to do.
-- 'take' expected ('' for none) new now, then (key, value or '') pairs: write what the topic has, if the view is where it
-- is expected to be. A key that was taken in before stays, as long as no tombstone came: two programs that made one at
-- the same moment end with the same. One that somebody only announced gives way to what the topic has.
-- 'claim' at-least, then (key, value) pairs: announce keys that are about to be written, each unless there is one.
local NAME = '\0at'
local found = redis.call('HGET', KEYS[1], NAME)
local at = found and string.match(found, '^%d+') or ''
if ARGV[1] == 'take' then
  if at ~= ARGV[2] then return {0} end
  for i = 5, #ARGV - 1, 2 do
    if ARGV[i + 1] == '' then
      redis.call('HDEL', KEYS[1], ARGV[i])
    else
      local held = redis.call('HGET', KEYS[1], ARGV[i])
      if not held or string.sub(held, 1, 1) ~= 'C' then
        redis.call('HSET', KEYS[1], ARGV[i], 'C' .. ARGV[i + 1])
      end
    end
  end
  redis.call('HSET', KEYS[1], NAME, ARGV[3] .. ' ' .. ARGV[4])
  return {1}
end
if at == '' or tonumber(at) < tonumber(ARGV[2]) then return {0} end
local answers = {1}
for i = 3, #ARGV - 1, 2 do
  local held = redis.call('HGET', KEYS[1], ARGV[i])
  if not held then
    held = 'P' .. ARGV[i + 1]
    redis.call('HSET', KEYS[1], ARGV[i], held)
  end
  answers[#answers + 1] = held
end
return answers
