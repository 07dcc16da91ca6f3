# METADATA
# title: Which token a backend gets, by a table
# description: |
#   The tool's row, else its backend's, else the defaults say audience, resource and lifetime; no lifetime is above the
#   ceiling. The scope is BACKEND:TOOL unless the row says another, and BACKEND:protocol for what calls no tool.
#   Data: data.outbound.
# scope: package
# schemas:
#   - input: schema["input.v1"]
#   - data.outbound: schema["outbound.v1"]
package mcp.lib.outbound

import data.mcp.lib.request

backend := data.outbound.backends[input.mcp.backend]

# METADATA
# description: The answer of data.mcp.outbound.decision.
default decision := {"allow": false, "reason": "policy_denied"}

decision := object.union_n([{"allow": true, "reason": "allowed", "scope": scope}, token, resource]) if {
	input.version == 1
	token := {"audience": said("audience"), "ttl_seconds": min([said("ttl_seconds"), data.outbound.max_ttl_seconds])}
	is_string(token.audience)
	readable
} else := {"allow": false, "reason": "tool_unknown"} if {
	input.version == 1
	request.kind == "tools"
	backend
	not scope
}

# A misspelt word must not fall back to what the row wanted otherwise, nor a ceiling of text to none.
readable if {
	is_number(data.outbound.max_ttl_seconds)
	is_number(said("ttl_seconds"))
	request.only(object.get(data.outbound, "defaults", {}), said_by_all)
	request.only(backend, array.concat(said_by_all, ["tools"]))
	request.only(operation, array.concat(said_by_all, ["scope"]))
	is_string(object.get(operation, "scope", ""))
}

said_by_all := ["audience", "resource", "ttl_seconds"]

operation := request.row(backend.tools) if {
	request.kind == "tools"
	plain
}

operation := {} if input.mcp.method != "tools/call"

# A name with a space would be two scopes, and `protocol` is the scope of what calls no tool.
plain if {
	regex.match(`^[A-Za-z0-9_./-]{1,128}$`, request.name)
	request.name != "protocol"
}

scope := operation.scope if {
	is_string(operation.scope)
} else := concat(":", [input.mcp.backend, request.name]) if {
	request.kind == "tools"
	operation
} else := concat(":", [input.mcp.backend, "protocol"]) if {
	operation
}

said(member) := value if {
	value := operation[member]
} else := value if {
	value := backend[member]
} else := data.outbound.defaults[member]

resource := {"resource": named} if {
	named := said("resource")
} else := {}
