# METADATA
# title: What is asked, in the words the other modules share
# description: |
#   A message uses a tool, a prompt or a resource, or it is part of the protocol around them. Tables go by the same
#   three kinds, and in each `*` stands for every name that has no row of its own.
# scope: package
# schemas:
#   - input: schema["input.v1"]
package mcp.lib.request

# METADATA
# description: Finding out what the server is. Clients that are refused here give up before they can ask for what they lack.
handshake if {
	input.mcp.kind == "request"
	input.mcp.method in ["initialize", "server/discover"]
}

# METADATA
# description: What the message uses; undefined where it uses nothing.
kind := {
	"tools/call": "tools",
	"prompts/get": "prompts",
	"resources/read": "resources",
	"resources/subscribe": "resources",
	"resources/unsubscribe": "resources",
}[input.mcp.method]

# METADATA
# description: The name of what is used. Undefined for several, so that a second cannot ride along.
name := input.mcp.tool if {
	kind == "tools"
	is_string(input.mcp.tool)
} else := only_target(["prompt"]) if {
	kind == "prompts"
} else := only_target(["resource", "resource_template"]) if {
	kind == "resources"
}

only_target(types) := input.mcp.targets[0].name if {
	count(input.mcp.targets) == 1
	input.mcp.targets[0].type in types
	is_string(input.mcp.targets[0].name)
}

# METADATA
# description: The rows that may speak of it, the closest first.
keys := array.concat(array.concat([name], collection), ["*"])

# A URI that ends in `/` speaks of what is directly below it. The backend may decode or normalise what it gets, so the
# last step is plain: nothing that climbs, hides or ends the path early.
default collection := []

collection := [concat("/", array.concat(array.slice(steps, 0, last), [""]))] if {
	kind == "resources"
	steps := split(name, "/")
	last := count(steps) - 1
	regex.match(`^[A-Za-z0-9_-]+$`, steps[last])
}

# METADATA
# description: The row of a table by names that speaks of what is used. `table` is the kind's part of a backend's.
row(table) := [found | some key in keys; found := table[key]][0]

# METADATA
# description: |
#   Whether a table {BACKEND {KIND {NAME [...]}}} can be read for what is used: no other kinds than these, and lists in the
#   rows that speak of it. What cannot be read must refuse:
#   passed over, a misspelt word or a row of `false` would allow.
readable(table, kinds) if {
	is_object(table)
	entry := object.get(table, input.mcp.backend, {})
	only(entry, kinds)
	every rows in entry {
		is_object(rows)
	}
	every row in [found | some key in keys; found := entry[kind][key]] {
		is_array(row)
	}
}

# METADATA
# description: Whether it is an object with no other members than these.
only(value, members) if {
	is_object(value)
	every member in object.keys(value) {
		member in members
	}
}

# METADATA
# description: Whether it is a list of names.
names(value) if {
	is_array(value)
	every one in value {
		is_string(one)
	}
}

# METADATA
# description: Whether a grant {BACKEND {tools, prompts, resources}} lists what is used.
granted(grant) if {
	listed := grant[input.mcp.backend][kind]
	is_array(listed) # `in` alone would also search the values of an object
	some key in keys
	key in listed
}

# METADATA
# description: A client that acts for itself, with no user present.
alone if input.principal.subject == input.principal.clientId

# METADATA
# description: |
#   A claim by its path: `realm_access.roles`, or a list of steps where a name itself has dots. Null where there is none.
claim(path) := object.get(input.principal.claims, steps_of(path), null)

# METADATA
# description: An argument by its path, such as `payee.iban`. Null where there is none.
default argument(_) := null

argument(path) := object.get(input.mcp.arguments, steps_of(path), null)

steps_of(path) := path if is_array(path)

steps_of(path) := split(path, ".") if is_string(path)

# METADATA
# description: The argument that a condition {argument, optional?} of a table is about, in a message.
default label(_) := "An argument"

label(condition) := condition.argument if is_string(condition.argument)

# METADATA
# description: Whether a call that does not name the argument breaks the condition.
lacks(condition) if {
	argument(condition.argument) == null
	not condition.optional == true
}

# METADATA
# description: Why something that no row speaks of is refused, and something that is not for this caller.
unknown := {"tools": "tool_unknown", "prompts": "policy_denied", "resources": "policy_denied"}[kind]

forbidden := {"tools": "tool_forbidden", "prompts": "policy_denied", "resources": "policy_denied"}[kind]
