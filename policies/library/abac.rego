# METADATA
# title: Conditions on arguments
# description: |
#   Each condition of a tool's row must hold: of one type, one of these, like this, at most so much, one's own. A word that
#   is not known here holds never. What no condition names is the backend's business. Data: data.abac.
# scope: package
# schemas:
#   - input: schema["input.v1"]
#   - data.abac: schema["abac.v1"]
package mcp.lib.abac

import data.mcp.lib.rbac
import data.mcp.lib.request

conditions := request.row(data.abac[input.mcp.backend][request.kind])

# METADATA
# description: What this module refuses.
refusals contains {"rule": "abac", "reason": "policy_denied"} if {
	request.kind
	some table in tables
	not request.readable(table, ["tools", "prompts"])
}

# None or one. `not data.abac` would be true of `false` as well.
tables := [table | table := data.abac]

refusals contains refusal(condition, "argument_forbidden", ["must be", demands(condition)]) if {
	some condition in conditions
	not fits(condition)
}

refusals contains refusal(condition, "limit_exceeded", ["is", limits(condition)]) if {
	some condition in conditions
	fits(condition)
	not within(condition)
}

refusal(condition, reason, words) := {
	"rule": rule(condition),
	"reason": reason,
	"message": concat("", [concat(" ", array.concat([request.label(condition)], words)), "."]),
	"log_only": on_trial(condition),
}

rule(condition) := condition.rule if {
	is_string(condition.rule)
} else := concat(".", ["abac", condition.argument]) if {
	regex.match(`^[A-Za-z0-9_./-]{1,100}$`, condition.argument)
} else := "abac"

default on_trial(_) := false

on_trial(condition) if condition.log_only == true

fits(condition) if {
	not request.lacks(condition)
	value := request.argument(condition.argument)
	every word, wanted in condition {
		holds(word, value, wanted)
	}
}

holds(word, _, _) if word in ["argument", "optional", "rule", "log_only"]

# An optional argument that is not there.
holds(_, null, _)

holds("type", value, wanted) if type_name(value) == wanted

holds("one_of", value, wanted) if {
	is_array(wanted)
	value in wanted
}

# The whole value, whether the pattern says so or not.
holds("matches", value, wanted) if {
	is_string(value)
	regex.match(concat("", ["^(?:", wanted, ")$"]), value)
}

holds("max_length", value, wanted) if {
	type_name(value) in ["string", "array"]
	is_number(wanted)
	count(value) <= wanted
}

# A number is above every `false` and `null`.
holds("at_least", value, wanted) if {
	is_number(value)
	is_number(wanted)
	value >= wanted
}

holds("above", value, wanted) if {
	is_number(value)
	is_number(wanted)
	value > wanted
}

holds("at_most", value, _) if is_number(value)

holds("at_most_by_role", value, _) if is_number(value)

holds("same_as_claim", value, path) if value == request.claim(path)

within(condition) if {
	value := request.argument(condition.argument)
	every word, wanted in condition {
		below(word, value, wanted)
	}
}

below(word, _, _) if not word in ["at_most", "at_most_by_role"]

below(_, null, _)

# A text is above every number: a limit in words would be none.
below("at_most", value, limit) if {
	is_number(limit)
	value <= limit
}

below("at_most_by_role", value, by_role) if value <= highest(by_role)

highest(by_role) := max([limit | some role, limit in by_role; role in rbac.roles; is_number(limit)])

demands(condition) := "given" if {
	count(words(condition)) == 0
} else := concat(", ", words(condition))

words(condition) := [said | some word, wanted in condition; said := says(word, wanted)]

says("type", wanted) := concat("", ["a ", wanted])

says("one_of", wanted) := concat(" ", ["one of", concat(" ", [json.marshal(one) | some one in wanted])])

says("matches", wanted) := concat(" ", ["like", wanted])

says("max_length", wanted) := concat(" ", ["no longer than", json.marshal(wanted)])

says("at_least", wanted) := concat(" ", ["at least", json.marshal(wanted)])

says("above", wanted) := concat(" ", ["above", json.marshal(wanted)])

says("at_most", _) := "a number"

says("at_most_by_role", _) := "a number"

says("same_as_claim", _) := "your own"

limits(condition) := concat(" ", ["at most", json.marshal(condition.at_most)]) if {
	not condition.at_most_by_role
} else := concat(" ", ["at most", json.marshal(highest(condition.at_most_by_role)), "for your role"]) if {
	highest(condition.at_most_by_role)
} else := "not for your role"
