-- SPDX-License-Identifier: MIT
-- The live document of policies, changed by whoever has seen its latest version.
--
-- KEYS[1]: a hash of version and text. KEYS[2]: a stream of who changed what. ARGV: the version that
-- was seen, the new text, and for the stream who, from where, what, and how many entries it keeps.
-- Answers "1" and the new version; or "0", the version that is there, a newline and its text.
local there = redis.call('HMGET', KEYS[1], 'version', 'text')
local version = there[1] or '0'
if version ~= ARGV[1] then return '0' .. version .. '\n' .. (there[2] or '') end
version = string.format('%.0f', tonumber(version) + 1)
redis.call('HSET', KEYS[1], 'version', version, 'text', ARGV[2])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[6], '*', 'version', version, 'who', ARGV[3],
  'from', ARGV[4], 'what', ARGV[5])
return '1' .. version
