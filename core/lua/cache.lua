-- SPDX-License-Identifier: MIT
-- The atomic program of tidegate's caches: a batch of operations, one after another (cache/decide.h
-- says what they mean, and core/store/valkey/cache_exchange.h how they are laid out).
--
-- KEYS     the key of each operation: an entry's, of a purge the tag's number, of a clear the cache's.
-- ARGV     the time (0: the server's), a fixed expiry in ms (0: what is right), then the operations.
-- Answers  strings: for a look-up three (what, the entry's head, its body), for all others one.
--
-- A key's records are a hash: h the entry's head, v its body, l the lease "token born until", t the
-- tomb "at until", w there is where somebody waits for the fill, who is told of its end on the
-- channel. What is none of ours under our key is dropped.
local MAX_SKEW, MIN_TOMB, EXACT = 1000000, 60000000, 4503599627370496
local TIMES_AT = 37 -- in the head, counted from 1
local call, pcall_, max, floor = redis.call, redis.pcall, math.max, math.floor

local now, fixed_px = tonumber(ARGV[1]), tonumber(ARGV[2])
if now == 0 then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end
local at = 2
local function word()
  at = at + 1
  return ARGV[at]
end
local function number() return tonumber(word()) end
local function text(x) return string.format('%.0f', x) end

local function px(until_us)
  if fixed_px > 0 then return fixed_px end
  return max(1, floor((until_us - now) / 1000) + 1000)
end

-- A wipe's number: what is born until then does not count. One that a clock far ahead has dated is
-- dated anew.
local function mark(name)
  local found = pcall_('GET', name)
  if type(found) == 'table' then call('DEL', name) end -- an error: it is none of ours
  local when = type(found) == 'string' and tonumber(found)
  if not when then return -1 end
  if when - now > MAX_SKEW then
    local left = call('PTTL', name)
    when = now
    call('SET', name, text(now), 'PX', left > 0 and left or 1000)
  end
  return when
end

local function times_of(head)
  if #head < 76 or head:byte(1) ~= 1 then return nil end
  local born, fresh, stale, gone = struct.unpack('<I8I8I8I8', head, TIMES_AT)
  if gone > 2 * EXACT or born > gone then return nil end
  return { born = born, fresh = fresh, stale = stale, gone = gone }
end

local function each_tag(head, f)
  local from = 77
  for _ = 1, head:byte(3) do
    local size = head:byte(from)
    if not size then return end
    f(head:sub(from + 1, from + size))
    from = from + 1 + size
  end
end

-- The records of a key.
local function open(key, prefix, digest, lease_us)
  local r = { key = key, prefix = prefix, channel = prefix:match('^(.*):[^:]*:$') .. ':wake', tomb_us = max(lease_us, MIN_TOMB), lease_us = lease_us }
  local found = pcall_('HMGET', key, 'h', 'l', 't', 'w')
  if found.err then
    call('DEL', key)
    found = {}
  end
  r.digest, r.waited_for = digest, found[4]
  r.head = found[1] or nil
  if r.head then
    r.entry = times_of(r.head)
    if not r.entry or r.head:sub(5, 36) ~= digest then
      call('HDEL', key, 'h', 'v')
      r.head, r.entry = nil, nil
    end
  end
  if found[2] then
    local token, born, until_ = found[2]:match('^(%d*) (%d+) (%d+)$')
    if token then r.lease = { token = token, born = tonumber(born), until_ = tonumber(until_) } end
  end
  if found[3] then
    local when, until_ = found[3]:match('^(%d+) (%d+)$')
    if when then r.tomb = { at = tonumber(when), until_ = tonumber(until_) } end
  end
  return r
end

local function set_lease(r, lease)
  r.lease = lease
  if lease then
    call('HSET', r.key, 'l', lease.token .. ' ' .. text(lease.born) .. ' ' .. text(lease.until_))
  else
    call('HDEL', r.key, 'l')
  end
  r.changed = true
end
local function set_tomb(r, tomb)
  r.tomb = tomb
  if tomb then
    call('HSET', r.key, 't', text(tomb.at) .. ' ' .. text(tomb.until_))
  else
    call('HDEL', r.key, 't')
  end
  r.changed = true
end
local function drop_entry(r)
  if r.head then call('HDEL', r.key, 'h', 'v') end
  r.head, r.entry, r.changed = nil, nil, true
end

-- Everything in it has an expiry: the latest.
local function close(r)
  if not r.changed then return end
  local last = max(r.entry and r.entry.gone or 0, r.lease and r.lease.until_ or 0,
                   r.tomb and r.tomb.until_ or 0)
  if last > 0 then call('PEXPIRE', r.key, px(last)) end
end

-- A fill has ended, or a value is there: who waits elsewhere asks. (Where no message may be sent they
-- learn by asking in any case.)
local function tell(r)
  if not r.waited_for then return end
  call('HDEL', r.key, 'w')
  pcall_('PUBLISH', r.channel, r.digest)
end

local function floor_of(r, head)
  local least = mark(r.prefix .. 'clear')
  if r.tomb then
    if r.tomb.at - now > MAX_SKEW then set_tomb(r, { at = now, until_ = now + r.tomb_us }) end
    if now < r.tomb.until_ then
      least = max(least, r.tomb.at)
    else
      set_tomb(r, nil)
    end
  end
  if head then
    each_tag(head, function(tag) least = max(least, mark(r.prefix .. 't:' .. tag)) end)
  end
  return least
end

local function entry_counts(r)
  local entry = r.entry
  if not entry then return false end
  if now >= entry.gone or entry.born - now > MAX_SKEW or entry.born <= floor_of(r, r.head) then
    drop_entry(r)
    return false
  end
  return true
end

local function settle_lease(r)
  local lease = r.lease
  if lease and (now >= lease.until_ or lease.born - now > MAX_SKEW) then set_lease(r, nil) end
end

local function failed(r) return r.lease and r.lease.token == '' end
local function held_by(r, token) return r.lease and token ~= '' and r.lease.token == token end

local answers = {}
local function answer(it) answers[#answers + 1] = it end

-- what, granted, age, fresh, born, wait
local function shown(r, status, granted, wait_us)
  local entry = r.entry
  local shows = entry and status ~= 'w' and (status ~= 'm' or granted)
  local age, fresh, born = 0, 0, 0
  if shows then age, fresh, born = max(0, now - entry.born), max(0, entry.fresh - now), entry.born end
  local lease_born = granted and r.lease.born or 0
  answer(table.concat({ status, text(lease_born), text(age), text(fresh), text(born),
                        text(wait_us or 0) }, ' '))
  answer(shows and r.head or false)
  answer(shows and call('HGET', r.key, 'v') or false)
end

local function look_up(r, token, retry_us)
  local there = entry_counts(r)
  settle_lease(r)
  local entry = r.entry
  if there and now < entry.fresh then return shown(r, 'h') end
  local stale = there and now < entry.stale
  if token == '' then return shown(r, stale and 's' or 'm') end
  if failed(r) then
    if there then return shown(r, stale and 's' or 'r') end
    set_lease(r, nil)
  end
  local granted = not r.lease
  if granted then set_lease(r, { token = token, born = now, until_ = now + r.lease_us }) end
  if stale then return shown(r, 's', granted) end
  if not granted then
    if not r.waited_for then call('HSET', r.key, 'w', '1') end
    return shown(r, 'w', false, r.lease.until_ - now)
  end
  return shown(r, 'm', true)
end

local function put(r, token, born, ttl, stale, err, usual_us, head, body)
  local least = floor_of(r, head)
  settle_lease(r)
  if token ~= '' then
    local mine = held_by(r, token)
    local late = r.lease and not failed(r) and not mine
    local there = entry_counts(r)
    late = late or least >= born or (there and r.entry.born >= born) or born - now > MAX_SKEW
    if mine or (failed(r) and not late) then set_lease(r, nil) end
    if late then return answer('l ' .. text(born)) end
  else
    born = max(now, least + 1)
  end
  local life = ttl + max(stale, err)
  if now >= born + life then
    if token == '' then drop_entry(r) end
    return answer('x ' .. text(born))
  end
  local fresh = born + ttl
  r.entry = { born = born, fresh = fresh, stale = fresh + stale, gone = born + life }
  r.head = head:sub(1, TIMES_AT - 1) ..
           struct.pack('<I8I8I8I8', born, fresh, fresh + stale, born + life) ..
           head:sub(TIMES_AT + 32)
  call('HSET', r.key, 'h', r.head, 'v', body)
  r.changed = true
  if life > usual_us then -- wipes are to be remembered for as long
    local name = r.prefix .. 'life'
    local known = tonumber(call('GET', name) or 0) or 0
    if life > known then call('SET', name, text(life), 'PX', px(now + 2 * life)) end
  end
  answer('s ' .. text(born))
end

local function wipe(name, prefix, kept_us)
  local when = mark(name)
  local longest = tonumber(call('GET', prefix .. 'life') or 0) or 0
  call('SET', name, text(max(now, when)), 'PX', px(now + longest + kept_us))
  answer('d')
end

for _, key in ipairs(KEYS) do
  local op, prefix = word(), word()
  if op == 'u' or op == 'c' then
    wipe(key, prefix, number())
  else
    local digest, lease_us = word(), number()
    local r = open(key, prefix, digest, lease_us)
    if op == 'g' then
      local token, retry_us = word(), number()
      look_up(r, token, retry_us)
    elseif op == 'p' then
      local token, born, ttl, stale, err, usual = word(), number(), number(), number(), number(), number()
      put(r, token, born, ttl, stale, err, usual, word(), word())
      tell(r)
    elseif op == 'd' then
      local there = entry_counts(r)
      local when = now
      if r.tomb then when = max(now, floor_of(r)) end
      drop_entry(r)
      set_tomb(r, { at = when, until_ = now + r.tomb_us })
      answer(there and 'd' or 'n')
    else -- release and renew
      local token, retry_us, fails = word(), number(), word()
      settle_lease(r)
      if not held_by(r, token) then
        answer('n')
      elseif op == 'n' then
        set_lease(r, { token = token, born = r.lease.born, until_ = now + lease_us })
        answer('d')
      elseif fails == '1' and entry_counts(r) then
        set_lease(r, { token = '', born = now, until_ = now + retry_us })
        answer('f')
        tell(r)
      else
        set_lease(r, nil)
        answer('d')
        tell(r)
      end
    end
    close(r)
  end
end
return answers
