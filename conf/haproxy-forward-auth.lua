-- Sends auth requests to wecom-gate, for haproxy.cfg in this folder. HAProxy 2.6 and later.
--
-- If the gate responds with 204, it sets txn.wecom_gate_ok and the values of the headers for NocoBase. On any other response,
-- or none, it sets nothing, and the request goes through the gate.
local url, secret = os.getenv("WECOM_GATE_AUTH"), os.getenv("WECOM_GATE_SECRET")

-- Headers of the connection to HAProxy, or of the body, which an auth request does not have.
local not_forwarded = {
    ["connection"] = true, ["content-length"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
    ["expect"] = true, ["te"] = true, ["trailer"] = true, ["keep-alive"] = true, ["content-type"] = true,
}
local variables = {
    ["authorization"] = "txn.wecom_gate_authorization",
    ["x-wecom-gate-cookie"] = "txn.wecom_gate_cookie",
    ["set-cookie"] = "txn.wecom_gate_renewed",
    ["x-wecom-user"] = "txn.wecom_gate_user",
    ["x-wecom-corp"] = "txn.wecom_gate_corp",
    ["x-wecom-entry"] = "txn.wecom_gate_entry",
    ["x-wecom-name"] = "txn.wecom_gate_name",
    ["x-forwarded-user"] = "txn.wecom_gate_id",
}

core.register_action("wecom_gate_auth", { "http-req" }, function(txn)
    local headers = {}
    for name, values in pairs(txn.http:req_get_headers()) do
        if not not_forwarded[name] then
            local list = {}
            for i = 0, #values do
                list[#list + 1] = values[i]
            end
            headers[name] = list
        end
    end
    headers["x-wecom-gate-secret"] = { secret }
    local response = core.httpclient():get({ url = url, headers = headers, timeout = 5000 })
    if not response or response.status ~= 204 then
        return
    end
    for name, variable in pairs(variables) do
        local values = response.headers[name]
        if values and values[0] and values[0] ~= "" then
            txn:set_var(variable, values[0])
        end
    end
    txn:set_var("txn.wecom_gate_ok", true)
end)
