-- Refuses JSON bodies with fields that the contract does not have, which the transcoder would silently drop.
-- RULES { {method, path, type} } and TYPES { type = { field = type of its messages, or true } } are put before this text.

local DEEPEST = 100

local function after_space(text, at)
  return string.find(text, "[^ \t\r\n]", at) or error("malformed")
end

-- Returns what a string at `at` holds, unescaped or not, and the place after it.
local function string_at(text, at)
  if string.sub(text, at, at) ~= '"' then error("malformed") end
  local from = at + 1
  while true do
    local found = string.find(text, '["\\]', from) or error("malformed")
    if string.sub(text, found, found) == '"' then return string.sub(text, at + 1, found - 1), found + 1 end
    from = found + 2
  end
end

-- Walks over the value at `at`, whose objects are of `kind` (nil: any), and returns the place after it.
local function walk(text, at, kind, depth)
  if depth > DEEPEST then error("malformed") end
  at = after_space(text, at)
  local first = string.sub(text, at, at)
  if first == '"' then
    local _, next = string_at(text, at)
    return next
  end
  if first ~= "{" and first ~= "[" then
    return string.find(text, "[],} \t\r\n]", at) or #text + 1
  end
  local last = first == "{" and "}" or "]"
  at = after_space(text, at + 1)
  if string.sub(text, at, at) == last then return at + 1 end
  while true do
    local inner = kind
    if first == "{" then
      local name
      name, at = string_at(text, after_space(text, at))
      inner = kind and TYPES[kind][name]
      if kind and inner == nil then error({ unknown = name }) end
      if inner == true then inner = nil end
      at = after_space(text, at)
      if string.sub(text, at, at) ~= ":" then error("malformed") end
      at = at + 1
    end
    at = after_space(text, walk(text, at, inner, depth + 1))
    local separator = string.sub(text, at, at)
    if separator == last then return at + 1 end
    if separator ~= "," then error("malformed") end
    at = at + 1
  end
end

local function kind_of(method, path)
  for _, rule in ipairs(RULES) do
    if rule[1] == method and string.find(path, rule[2]) then return rule[3] end
  end
end

function envoy_on_request(request)
  local headers = request:headers()
  if string.find(headers:get("content-type") or "", "^application/grpc") then return end
  local kind = kind_of(headers:get(":method"), string.match(headers:get(":path"), "^[^?]*"))
  local body = kind and request:body()
  if not body then return end
  -- What is not JSON at all is the transcoder's to refuse.
  local fine, problem = pcall(walk, body:getBytes(0, body:length()), 1, kind, 0)
  if not fine and type(problem) == "table" then
    request:respond({ [":status"] = "400" }, "there is no field " .. string.sub(problem.unknown, 1, 100))
  end
end
