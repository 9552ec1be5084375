-- Gives errors below /openai/ the shape that OpenAI's clients read, google.rpc.Status having been there before.

local PREFIX = "/openai/"
-- What OpenAI calls the kinds of errors, by HTTP status; others are the server's fault.
local TYPES = { [401] = "authentication_error", [403] = "permission_error", [429] = "rate_limit_error" }

function envoy_on_request(request)
  local path = request:headers():get(":path")
  if string.sub(path, 1, #PREFIX) == PREFIX then request:streamInfo():dynamicMetadata():set("open_ai", "path", path) end
end

-- Returns the first string called `name`, still escaped and in its quotes, or null.
local function string_in(text, name)
  local _, from = string.find(text, '"' .. name .. '":"', 1, true)
  local at = from
  while at do
    at = string.find(text, '["\\]', at + 1)
    if at and string.sub(text, at, at) == '"' then return string.sub(text, from, at) end
    at = at and at + 1
  end
  return "null"
end

function envoy_on_response(response)
  local status = tonumber(response:headers():get(":status"))
  if status < 400 or not response:streamInfo():dynamicMetadata():get("open_ai") then return end
  local body = response:body(true)
  local text = body:getBytes(0, body:length())
  local kind = TYPES[status] or (status < 500 and "invalid_request_error" or "server_error")
  body:setBytes(string.format('{"error":{"message":%s,"type":"%s","param":%s,"code":%s}}',
    string_in(text, "message"), kind, string_in(text, "field"), string.lower(string_in(text, "reason"))))
end
