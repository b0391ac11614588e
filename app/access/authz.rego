# METADATA
# title: Who may do what on this appliance
# description: |
#   Decides every request of every service. To change who may do what, change data: roles and groups
#   below data.openpolicy.authz. To change how it is decided, put a policy of this package under the
#   id openpolicy/authz; it takes the place of this one. Either is refused when it would shut every
#   administrator out. Rules a policy must have: allow; it may have: reason.
package openpolicy.authz

# METADATA
# title: Nothing is allowed unless a rule below says so
default allow := false

# METADATA
# title: One of their roles has a grant that fits
allow if some _ in fitting

# ---- Roles: who may do what -----------------------------------------------------------------------
#
# A grant is a permission, "service:resource:verb", or an object with more to say:
#
#   permission  the same; "service:*" stands for all that begin so
#   own         true: only what the asker made
#   states      only things in one of these
#   setting     only while this option of the configuration is on
#   why         the sentence given as explanation
#
# data.openpolicy.authz.roles.NAME takes the place of the role of that name, or adds one.

# METADATA
# title: The roles this appliance is shipped with
shipped_roles := {
	"everyone": [
		{"permission": "public:route:use", "why": "anyone may use what is public"},
		{"permission": "health:*", "why": "anyone may ask how the appliance is"},
		{"permission": "metrics:*", "setting": "metrics.public", "why": "the figures are public"},
		{"permission": "api:document:read", "why": "the API document is public"},
		{"permission": "web:page:read", "why": "the pages are public"},
		{"permission": "system:public:read", "why": "what the landing page shows is public"},
		{"permission": "access:self:read", "why": "anyone may ask what they may do"},
		{"permission": "data:record:read", "why": "a collection's own rules say who reads its records"},
		{"permission": "data:record:write", "why": "a collection's own rules say who changes its records"},
	],
	"guest": [
		{"permission": "policies:document:read", "states": ["published"], "why": "anyone reads published documents"},
		{"permission": "rego:decision:read", "setting": "policy.public", "why": "anyone asks for decisions"},
	],
	"member": [
		{"permission": "policies:document:create", "why": "signed-in users write documents"},
		{"permission": "auth:self:read", "why": "everyone reads their own account"},
		{"permission": "auth:self:update", "why": "everyone changes their own account"},
		{"permission": "rego:decision:read", "why": "signed-in users and services ask for decisions"},
		{"permission": "gateway:upstream:use", "why": "signed-in users use what lies behind the gateway"},
	],
	"user": [
		{"permission": "policies:document:read", "own": true, "why": "authors read their own documents"},
		{
			"permission": "policies:document:read",
			"states": ["under_review", "approved", "published", "archived"],
			"why": "signed-in users read documents that left the draft",
		},
		{"permission": "policies:document:update", "own": true, "why": "authors edit their own documents"},
		{"permission": "policies:document:delete", "own": true, "why": "authors delete their own drafts"},
		{"permission": "policies:document:submit", "own": true, "why": "authors submit their own documents"},
	],
	"manager": [
		{"permission": "auth:user:list", "why": "managers look after the accounts of their organisation"},
		{"permission": "auth:user:read", "why": "managers look after the accounts of their organisation"},
		{"permission": "auth:user:create", "why": "managers look after the accounts of their organisation"},
		{"permission": "auth:user:update", "why": "managers look after the accounts of their organisation"},
		{"permission": "auth:user:delete", "why": "managers look after the accounts of their organisation"},
		{"permission": "auth:group:*", "why": "managers look after the groups of their organisation"},
		{"permission": "scim:*", "why": "managers keep their organisation in step with a directory"},
		{"permission": "audit:log:read", "why": "managers read what their organisation did"},
	],
	"admin": [
		{"permission": "policies:document:read", "why": "administrators read every document"},
		{"permission": "policies:document:update", "why": "administrators edit every document"},
		{"permission": "policies:document:delete", "why": "administrators delete drafts"},
		{"permission": "policies:document:submit", "why": "administrators submit every document"},
		{"permission": "policies:document:review", "why": "administrators approve, publish and archive"},
		{"permission": "auth:user:*", "why": "administrators manage accounts"},
		{"permission": "auth:organisation:*", "why": "administrators look after organisations"},
		{"permission": "auth:group:*", "why": "administrators look after groups"},
		{"permission": "scim:*", "why": "administrators keep accounts in step with a directory"},
		{"permission": "access:*", "why": "administrators look after who may do what"},
		{"permission": "audit:*", "why": "administrators read the audit log"},
		{"permission": "rego:policy:write", "why": "administrators change policies and data"},
		{"permission": "metrics:*", "why": "administrators read the figures"},
		{"permission": "config:*", "why": "administrators configure the appliance"},
		{"permission": "tls:*", "why": "administrators manage certificates"},
		{"permission": "logs:*", "why": "administrators read the log"},
		{"permission": "storage:*", "why": "administrators look after the database"},
		{"permission": "data:*", "why": "administrators define collections"},
		{"permission": "backup:*", "why": "administrators take backups and put them back"},
		{"permission": "system:*", "why": "administrators run the appliance"},
		{"permission": "gateway:*", "why": "administrators see the routes and their load"},
	],
}

# METADATA
# title: The roles in force, those of data first
roles_in_force := object.union(shipped_roles, data.openpolicy.authz.roles) if data.openpolicy.authz.roles

else := shipped_roles

# ---- Who asks: their roles ------------------------------------------------------------------------
#
# data.openpolicy.authz.groups.NAME is {"members": [account ids], "roles": [names of roles]}.

# METADATA
# title: A guest has the role guest
holds contains "guest" if not input.actor.signed_in

# METADATA
# title: An account has the role it was given
holds contains input.actor.role if {
	input.actor.signed_in
	roles_in_force[input.actor.role]
}

# METADATA
# title: Whoever is signed in is a member
holds contains "member" if {
	input.actor.signed_in
	roles_in_force[input.actor.role]
}

# METADATA
# title: Guests and members are everyone; a role nobody knows is nobody
holds contains "everyone" if not input.actor.signed_in

holds contains "everyone" if roles_in_force[input.actor.role]

# METADATA
# title: A group gives its members its roles
holds contains role if {
	input.actor.signed_in
	some group in data.openpolicy.authz.groups
	input.actor.id in group.members
	some role in group.roles
}

# METADATA
# title: The groups that identity keeps give their roles
holds contains role if some role in input.actor.roles

# METADATA
# title: A group that the token names gives its roles
holds contains role if {
	some name in input.actor.groups
	some role in data.openpolicy.authz.groups[name].roles
}

# ---- Grants that fit ------------------------------------------------------------------------------

# METADATA
# title: The grants of one's roles that cover the permission and whose conditions hold
fitting := [grant |
	some role in holds
	some grant in roles_in_force[role]
	covers(grant)
	fits(grant)
]

covers(grant) if grant == input.permission

covers(grant) if grant.permission == input.permission

covers(grant) if begins(grant)

covers(grant) if begins(grant.permission)

begins(pattern) if {
	endswith(pattern, "*")
	startswith(input.permission, trim_suffix(pattern, "*"))
}

fits(grant) if {
	setting_fits(grant)
	not input.about_thing
}

fits(grant) if {
	setting_fits(grant)
	owner_fits(grant)
	state_fits(grant)
}

setting_fits(grant) if not grant.setting

setting_fits(grant) if input.settings[grant.setting]

owner_fits(grant) if not grant.own

owner_fits(_) if input.resource.own

state_fits(grant) if not grant.states

state_fits(grant) if input.resource.state in grant.states

# ---- The reason, in a sentence --------------------------------------------------------------------

# METADATA
# title: Why, in one sentence
reason := object.get(fitting[0], "why", sprintf("a role of theirs grants %s", [input.permission])) if fitting[0]

else := [sentence | some [_, sentence] in refusals][0]

# METADATA
# title: The roles that could do this, whoever asks
able contains role if {
	some role, grants in roles_in_force
	some grant in grants
	covers(grant)
	setting_fits(grant)
}

# METADATA
# title: no rule allows this
refusals contains [1, rego.metadata.rule().title] if count(able) == 0

# METADATA
# title: "guests may not do this: sign in first"
refusals contains [2, rego.metadata.rule().title] if not input.actor.signed_in

# METADATA
# title: only its author or an administrator may do this
refusals contains [3, rego.metadata.rule().title] if {
	some role in holds
	some grant in roles_in_force[role]
	covers(grant)
	grant.own
}

# METADATA
# title: only an administrator may do this
refusals contains [4, rego.metadata.rule().title] if count(able - {"admin", "manager"}) == 0

# METADATA
# title: your role does not allow this
refusals contains [5, rego.metadata.rule().title]
