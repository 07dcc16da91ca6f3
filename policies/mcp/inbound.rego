# METADATA
# title: May this principal do this?
# description: |
#   Asked for every MCP message. There is one way to say yes, the first body of `decision`; everything after it only
#   words the no. So a row that is missing, misspelt or of the wrong shape refuses. What is permitted stands in
#   ../permissions/data.yaml.
# scope: package
# schemas:
#   - input: schema["input.v1"]
#   - data.permissions: schema["permissions.v1"]
package mcp.inbound

import rego.v1

default decision := {"allow": false, "reason": "policy_denied"}

decision := {"allow": true, "reason": "allowed"} if {
	passes(gate, backend, obtainable)
} else := {"allow": false, "reason": "policy_denied"} if {
	not backend
} else := {"allow": false, "reason": "client_forbidden"} if {
	not obtainable
} else := {"allow": false, "reason": "method_forbidden"} if {
	not gate
} else := {"allow": false, "reason": "tenant_mismatch"} if {
	not tenant_fits(backend)
} else := refused_member if {
	gate == "member"
} else := refused_row

# What is asked, and by whom.

backend := data.permissions.backends[input.mcp.backend] if input.version == 1

gate := data.permissions.methods[input.mcp.kind][input.mcp.method] if {
	input.mcp.kind != "response"
} else := data.permissions.methods.response if {
	input.mcp.kind == "response"
	input.mcp.method == null
}

# The scopes this client can be granted in the way it came: as itself, or on behalf of a user.
obtainable := data.permissions.clients[input.principal.clientId].user if {
	is_string(input.principal.subject)
	input.principal.subject != ""
	input.principal.subject != input.principal.clientId
} else := data.permissions.clients[input.principal.clientId].machine if {
	input.principal.subject == input.principal.clientId
}

# Yes. Functions, not rules: the wasm remembers the value of every rule, which costs more than these do.

passes("tool", backend, obtainable) if {
	permits(backend.tools[input.mcp.tool], obtainable)
	tenant_fits(backend)
}

passes("member", backend, obtainable) if {
	some scope in backend.scopes
	scope_counts(scope, obtainable)
	tenant_fits(backend)
}

passes("client", _, _)

passes("prompt", backend, obtainable) if {
	permits(backend.prompts[target("prompt")], obtainable)
	tenant_fits(backend)
}

passes("resource", backend, obtainable) if {
	permits(resource(backend.resources, target("resource")), obtainable)
	tenant_fits(backend)
}

permits(row, obtainable) if {
	row.scopes[0] # `every` is content with an empty list, and a row that asks for nothing is a mistake
	every scope in row.scopes {
		scope_counts(scope, obtainable)
	}
	role_fits(row)
	arguments_fit(row)
}

scope_counts(scope, obtainable) if {
	scope in obtainable
	holds(input.principal.scopes, scope)
}

# `in` alone would also search the values of an object.
holds(list, item) if {
	is_array(list)
	item in list
}

tenant_fits(backend) if {
	backend.tenant == input.principal.claims.tenant
} else if {
	backend.tenant == "any"
} else if {
	backend.tenant
	input.principal.subject == input.principal.clientId
	object.get(input.principal.claims, "tenant", null) == null
}

role_fits(row) if {
	row.roles == "any"
} else if {
	some role in row.roles
	holds(input.principal.claims.roles, role)
}

# The one thing a message is about: undefined for several, so that a second name cannot ride along.
target(type) := input.mcp.targets[0].name if {
	count(input.mcp.targets) == 1
	input.mcp.targets[0].type == type
}

resource(rows, uri) := row if {
	row := rows[uri]
} else := rows[parent] if {
	parts := split(uri, "/")
	last := count(parts) - 1

	# The backend may decode or normalise what it gets, so nothing that could climb, hide or end the path early.
	parts[last] != ""
	trim(parts[last], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
	parent := concat("/", array.concat(array.slice(parts, 0, last), [""]))
}

arguments_fit(row) if {
	not row.arguments
} else if {
	every name, rule in row.arguments {
		fits(name, rule)
		within_limit(name, rule)
	}
}

fits(name, rule) if {
	rule.is == "text"
	is_string(input.mcp.arguments[name])
	input.mcp.arguments[name] != ""
} else if {
	rule.is == "choice"
	input.mcp.arguments[name] in rule.of
} else if {
	rule.is == "amount"
	is_number(input.mcp.arguments[name])
	input.mcp.arguments[name] > 0
}

within_limit(name, rule) if {
	rule.is == "amount"
	input.mcp.arguments[name] <= highest_limit(rule)
} else if {
	rule.is != "amount"
}

highest_limit(rule) := max([limit |
	some role, limit in rule.limits
	holds(input.principal.claims.roles, role)
])

# No, in words, in the order in which it helps to know: what nobody can have, what this caller cannot have, what it
# could still obtain, what it wrote wrongly.

refused_member := {
	"allow": false,
	"reason": "insufficient_scope",
	"required_scopes": [backend.scopes[0]],
} if {
	backend.scopes[0] in obtainable
} else := {"allow": false, "reason": "method_forbidden"}

row := backend.tools[input.mcp.tool] if gate == "tool"

row := backend.prompts[target("prompt")] if gate == "prompt"

row := resource(backend.resources, target("resource")) if gate == "resource"

refused_row := {"allow": false, "reason": "tool_unknown"} if {
	gate == "tool"
	not row
} else := {"allow": false, "reason": "policy_denied"} if {
	not row
} else := {
	"allow": false,
	"reason": "role_missing",
	"message": concat("", ["This needs one of the roles: ", concat(", ", row.roles), "."]),
} if {
	not role_fits(row)
} else := {"allow": false, "reason": "tool_forbidden"} if {
	some scope in row.scopes
	not scope in obtainable
} else := {"allow": false, "reason": "insufficient_scope", "required_scopes": row.scopes} if {
	some scope in row.scopes
	not holds(input.principal.scopes, scope)
} else := {
	"allow": false,
	"reason": "argument_forbidden",
	"message": concat("", ["Missing or not acceptable: ", concat(", ", sort(unfit_arguments)), "."]),
} if {
	count(unfit_arguments) > 0
} else := {
	"allow": false,
	"reason": "limit_exceeded",
	"message": concat("", ["Over the limit for your role: ", concat(", ", sort(limits_exceeded)), "."]),
} if {
	count(limits_exceeded) > 0
}

unfit_arguments contains name if {
	some name, rule in row.arguments
	not fits(name, rule)
}

limits_exceeded contains concat("", [name, " is at most ", json.marshal(highest_limit(rule))]) if {
	some name, rule in row.arguments
	not within_limit(name, rule)
}
