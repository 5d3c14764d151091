-- Health of a SalesforceIntegration for Argo CD: docs/gitops.md says where it goes.
local health = { status = "Progressing", message = "The controller has not looked at it yet." }

if obj.metadata.deletionTimestamp ~= nil then
  health.message = "It is being deleted."
  return health
end
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "The controller has not looked at the newest spec yet."
  return health
end
if obj.spec.suspend == true then
  health.status = "Suspended"
  health.message = "The integration is suspended."
  return health
end

for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Ready" then
    health.message = condition.reason .. ": " .. condition.message
    if condition.status == "True" then
      health.status = "Healthy"
    elseif condition.status == "False" then
      health.status = "Degraded"
    end
  end
end
return health
