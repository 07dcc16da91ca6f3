# May this caller do this? There is one way to say yes, `permitted`; everything after it only words the no. Who may do what
# stands in access/data.yaml.
package mcp.inbound

default decision := {"allow": false, "reason": "method_forbidden"}

decision := {"allow": true, "reason": "allowed"} if {
	permitted
} else := {"allow": false, "reason": "tool_unknown"} if {
	calls
	not row
} else := {"allow": false, "reason": "role_missing"} if {
	calls
	not has_role
} else := {"allow": false, "reason": "insufficient_scope", "required_scopes": row.scopes} if {
	calls
	not has_scopes
} else := {"allow": false, "reason": "limit_exceeded"} if {
	calls
	not within_limits
}

# Connecting, and asking what there is. A list shows what its caller may use.
opening := {
	"initialize",
	"server/discover",
	"notifications/initialized",
	"notifications/cancelled",
	"ping",
	"tools/list",
	"prompts/list",
	"resources/list",
	"resources/templates/list",
	"GET",
	"DELETE",
}

permitted if {
	input.mcp.method in opening
} else if {
	calls
	has_role
	has_scopes
	within_limits
}

calls if input.mcp.method == "tools/call"

row := data.access.backends[input.mcp.backend].tools[input.mcp.tool]

# The claim is the issuer's: what is no list is no role.
has_role if {
	is_array(input.principal.claims.roles)
	some role in row.roles
	role in input.principal.claims.roles
}

# A row without scopes opens nothing: `every` alone is content with an empty list.
has_scopes if {
	row.scopes[0]
	every scope in row.scopes {
		scope in input.principal.scopes
	}
}

within_limits if {
	every name, limits in object.get(row, "limits", {}) {
		is_number(input.mcp.arguments[name])
		input.mcp.arguments[name] >= 0
		input.mcp.arguments[name] <= highest(limits)
	}
}

# Of several roles the one that may do most.
highest(limits) := max([limit | some role, limit in limits; role in input.principal.claims.roles])
