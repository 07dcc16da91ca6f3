# METADATA
# title: One decision out of what several modules refuse
# description: |
#   `decide([a, b, c])` answers with the reason that helps the caller most, `first([a, b, c])` with what the first set that
#   refuses says. A refusal is {rule, reason, message?, required_scopes?, log_only?}; one that cannot be read refuses.
#   Mind the commas: `[a | b]` is a comprehension, in which b refuses nothing.
# scope: package
# schemas:
#   - input: schema["input.v1"]
#   - data.mcp.lib.log_only: schema["log-only.v1"]
package mcp.lib.combine

# What nobody can have, what this caller cannot have, what it could still obtain, what it wrote wrongly. The last two
# must stay last: an item that only these refuse is shown in lists.
reasons := [
	"policy_denied",
	"client_forbidden",
	"method_forbidden",
	"tenant_mismatch",
	"tool_unknown",
	"read_only",
	"role_missing",
	"tool_forbidden",
	"insufficient_scope",
	"argument_forbidden",
	"limit_exceeded",
]

# METADATA
# description: The answer of data.mcp.inbound.decision, out of the refusals of all modules.
default decide(_) := {"allow": false, "reason": "policy_denied"}

decide(sets) := first([union({refusals | some refusals in sets})]) if {
	is_array(sets)
	count(sets) > 0
}

# METADATA
# description: The same, in an order of your own.
default first(_) := {"allow": false, "reason": "policy_denied"}

first(sets) := decision if {
	input.version == 1
	is_array(sets)
	count(sets) > 0
	every refusals in sets {
		is_set(refusals)
	}
	stopping := [live | some refusals in sets; live := {one | some one in refusals; not on_trial(one)}; count(live) > 0]
	tried := {one | some refusals in sets; some one in refusals; on_trial(one)}
	decision := answer(stopping, tried)
}

on_trial(refusal) if refusal.log_only == true

on_trial(refusal) if {
	not is_object(data.mcp.lib.log_only) # `in` would search its values
	refusal.rule in data.mcp.lib.log_only
}

answer([], tried) := {"allow": true, "reason": "allowed"} if count(tried) == 0

answer([], tried) := {"allow": true, "reason": "allowed", "log_only": array.slice(noted, 0, 16)} if {
	count(tried) > 0
	noted := sort({note | some one in tried; note := object.union(object.filter(one, ["rule", "reason"]), words({one}))})
}

answer(stopping, _) := object.union_n([{"allow": false, "reason": foremost}, words(alike), scopes(alike)]) if {
	foremost := [reason | some reason in reasons; some one in stopping[0]; one.reason == reason][0]
	alike := {one | some one in stopping[0]; one.reason == foremost}
}

# All that is wrong for the same reason, so that the caller can mend it at once.
words(refusals) := {"message": substring(replace(concat(" ", sort(messages)), "\"", "'"), 0, 500)} if {
	messages := {one.message | some one in refusals; is_string(one.message)}
	count(messages) > 0
} else := {}

scopes(refusals) := {"required_scopes": sort(needed)} if {
	needed := {scope | some one in refusals; some scope in one.required_scopes}
	count(needed) > 0
} else := {}
