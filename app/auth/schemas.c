/* SPDX-License-Identifier: Apache-2.0 */
/* schemas.c — the JSON of identity's bodies and answers, as schemas for the API document. The
 * handlers check each member themselves: these tell people and generators what they will accept. */
#include "app/auth/auth_impl.h"

#define TEXT "{\"type\":\"string\"}"
#define EMAIL "\"email\":{\"type\":\"string\",\"format\":\"email\",\"maxLength\":254}"
#define PASSWORD(name)                                                                             \
    "\"" name "\":{\"type\":\"string\",\"minLength\":12,\"maxLength\":256,\"format\":"             \
    "\"password\"}"
#define NAME "\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":200}"
#define ROLE "\"role\":{\"type\":\"string\",\"enum\":[\"admin\",\"user\"]}"
#define STATE "\"state\":{\"type\":\"string\",\"enum\":[\"active\",\"disabled\"]}"
#define TIME "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"
#define MAYBE "{\"type\":[\"string\",\"null\"]}"
#define SHORT "\"name\":{\"type\":\"string\",\"pattern\":\"^[a-z0-9][a-z0-9-]{1,39}$\"}"
#define ROLES "{\"type\":\"array\",\"maxItems\":16,\"items\":{\"type\":\"string\"}}"
#define FLAG "{\"type\":\"boolean\"}"
#define SCOPES "{\"type\":\"array\",\"minItems\":1,\"maxItems\":32,\"items\":{\"type\":\"string\"}}"
/* As PublicKeyCredential.toJSON() makes it. */
#define CREDENTIAL                                                                                 \
    "{\"type\":\"object\",\"required\":[\"id\",\"response\"],\"properties\":{"                     \
    "\"id\":" TEXT ",\"response\":{\"type\":\"object\"}}}"
#define PAGE_OF(name)                                                                              \
    "{\"type\":\"object\",\"required\":[\"items\",\"total\",\"limit\",\"next\"],\"properties\":{"  \
    "\"items\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/" name "\"}},"       \
    "\"total\":{\"type\":\"integer\"},\"limit\":{\"type\":\"integer\"},"                           \
    "\"offset\":{\"type\":\"integer\"},\"next\":{\"type\":[\"string\",\"null\"]}}}"
#define OBJECT(required, properties)                                                               \
    "{\"type\":\"object\",\"required\":[" required "],\"additionalProperties\":false,"             \
    "\"properties\":{" properties "}}"

const struct module_schema auth_schemas[] = {
    {"Login",
     OBJECT("\"email\",\"password\"", "\"email\":" TEXT ",\"password\":" TEXT ",\"code\":" TEXT
                                      ",\"cookie\":" FLAG ",\"remember\":" FLAG)},
    {"Refresh", OBJECT("\"refresh_token\"", "\"refresh_token\":" TEXT)},
    {"Registration",
     OBJECT("\"email\",\"password\",\"name\"",
            EMAIL "," PASSWORD("password") "," NAME ",\"role\":" TEXT ",\"invite\":" TEXT)},
    {"Profile", OBJECT("\"name\"", NAME)},
    {"PasswordChange", OBJECT("\"current_password\",\"new_password\"",
                              "\"current_password\":" TEXT "," PASSWORD("new_password"))},
    {"NewUser",
     OBJECT("\"email\",\"password\",\"name\"", EMAIL "," PASSWORD("password") "," NAME "," ROLE
                                                 ",\"organisation\":" TEXT)},
    {"UserChange",
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" EMAIL "," NAME "," ROLE
     "," STATE "," PASSWORD("password") ",\"locked\":{\"const\":false},\"organisation\":" TEXT
     "}}"},
    {"Setup", OBJECT("\"code\",\"email\",\"password\"",
                     "\"code\":" TEXT "," EMAIL "," PASSWORD("password") "," NAME)},
    {"User", "{\"type\":\"object\",\"required\":[\"id\",\"email\",\"name\",\"role\",\"state\"],"
             "\"properties\":{\"id\":{\"type\":\"string\",\"format\":\"uuid\"}," EMAIL "," NAME
             "," ROLE "," STATE ",\"organisation\":" MAYBE ",\"created_at\":" TIME
             ",\"updated_at\":" TIME
             ",\"password_changed_at\":" TIME ",\"last_login_at\":" TIME
             ",\"email_verified_at\":" TIME ",\"failed_logins\":{\"type\":\"integer\"},"
             "\"locked\":{\"type\":\"boolean\"},\"version\":{\"type\":\"integer\"}}}"},
    {"UserPage", "{\"type\":\"object\",\"required\":[\"items\",\"total\",\"limit\",\"next\"],"
                 "\"properties\":{\"items\":{\"type\":\"array\",\"items\":"
                 "{\"$ref\":\"#/components/schemas/User\"}},\"total\":{\"type\":\"integer\"},"
                 "\"limit\":{\"type\":\"integer\"},\"offset\":{\"type\":\"integer\"},"
                 "\"next\":{\"type\":[\"string\",\"null\"]}}}"},
    {"Tokens",
     "{\"type\":\"object\",\"required\":[\"access_token\",\"refresh_token\",\"token_type\","
     "\"expires_in\",\"user\"],\"properties\":{\"access_token\":" TEXT ",\"refresh_token\":" TEXT
     ",\"token_type\":{\"const\":\"Bearer\"},\"expires_in\":{\"type\":\"integer\"},"
     "\"user\":{\"$ref\":\"#/components/schemas/User\"}}}"},
    {"SecondFactor", OBJECT("\"mfa_token\",\"code\"", "\"mfa_token\":" TEXT ",\"code\":" TEXT "")},
    {"EmailOnly", OBJECT("\"email\"", "" EMAIL "")},
    {"EmailCode", OBJECT("\"email\",\"code\"",
                         "" EMAIL ",\"code\":{\"type\":\"string\",\"pattern\":\"^[0-9]{8}$\"}")},
    {"PasswordReset",
     OBJECT("\"email\",\"code\",\"new_password\"",
            "" EMAIL
            ",\"code\":{\"type\":\"string\",\"pattern\":\"^[0-9]{8}$\"},\"new_password\":{\"type\":"
            "\"string\",\"minLength\":12,\"maxLength\":256,\"format\":\"password\"}")},
    {"Code", OBJECT("\"code\"", "\"code\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":32}")},
    {"NewInvite", OBJECT("\"email\"", "" EMAIL "," ROLE ",\"organisation\":" TEXT)},
    {"SecondFactors",
     "{\"type\":\"object\",\"required\":[\"enabled\",\"totp\"],\"properties\":{\"enabled\":" FLAG
     ",\"totp\":" FLAG ",\"recovery_codes\":{\"type\":\"integer\"},\"passkeys\":{\"type\":"
     "\"integer\"},\"shown\":" FLAG "}}"},
    {"TotpSecret", "{\"type\":\"object\",\"required\":[\"secret\",\"uri\",\"qr_svg\"],"
                   "\"properties\":{\"secret\":" TEXT ",\"uri\":" TEXT ",\"qr_svg\":" TEXT
                   ",\"expires_in\":{\"type\":\"integer\"}}}"},
    {"RecoveryCodes", "{\"type\":\"object\",\"required\":[\"recovery_codes\"],\"properties\":{"
                      "\"recovery_codes\":{\"type\":\"array\",\"items\":" TEXT "}}}"},
    {"NewOrganisation", OBJECT("\"name\"", SHORT ",\"title\":" TEXT)},
    {"OrganisationChange", OBJECT("", SHORT ",\"title\":" TEXT)},
    {"Organisation",
     "{\"type\":\"object\",\"required\":[\"id\",\"name\"],\"properties\":{\"id\":" TEXT "," SHORT
     ",\"title\":" TEXT ",\"created_at\":" TIME ",\"accounts\":{\"type\":\"integer\"},"
     "\"version\":{\"type\":\"integer\"}}}"},
    {"OrganisationPage", PAGE_OF("Organisation")},
    {"NewGroup", OBJECT("\"name\"", SHORT ",\"roles\":" ROLES ",\"organisation\":" TEXT)},
    {"GroupChange", OBJECT("", SHORT ",\"roles\":" ROLES)},
    {"Group", "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"roles\"],\"properties\":{"
              "\"id\":" TEXT "," SHORT ",\"organisation\":" MAYBE ",\"roles\":" ROLES
              ",\"created_at\":" TIME ",\"member_count\":{\"type\":\"integer\"},\"members\":{"
              "\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"version\":{\"type\":"
              "\"integer\"}}}"},
    {"GroupPage", PAGE_OF("Group")},
    {"PasskeyOptions", "{\"type\":\"object\",\"required\":[\"publicKey\"],\"properties\":{"
                       "\"publicKey\":{\"type\":\"object\"}}}"},
    {"NewPasskey", OBJECT("\"name\",\"credential\"", NAME ",\"credential\":" CREDENTIAL)},
    {"PasskeyAsking", OBJECT("", "\"mfa_token\":" TEXT)},
    {"PasskeyLogin", OBJECT("\"credential\"", "\"credential\":" CREDENTIAL ",\"mfa_token\":" TEXT
                                              ",\"cookie\":" FLAG ",\"remember\":" FLAG)},
    {"Passkey", "{\"type\":\"object\",\"required\":[\"id\",\"name\"],\"properties\":{\"id\":" TEXT
                "," NAME ",\"algorithm\":" TEXT ",\"site\":" TEXT ",\"created_at\":" TIME
                ",\"last_used_at\":" TIME ",\"recovery_codes\":{\"type\":\"array\",\"items\":" TEXT
                "}}}"},
    {"Passkeys", "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":{\"items\":{"
                 "\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/Passkey\"}}}}"},
    {"SsoProviders",
     OBJECT("\"items\"", "\"items\":{\"type\":\"array\",\"items\":" OBJECT(
                             "\"name\",\"title\",\"login\"",
                             "\"name\":" TEXT ",\"title\":" TEXT ",\"login\":" TEXT) "}")},
    {"SsoLocation", OBJECT("\"location\"", "\"location\":" TEXT)},
    {"Identities",
     OBJECT("\"items\"", "\"items\":{\"type\":\"array\",\"items\":" OBJECT(
                             "\"id\",\"provider\"",
                             "\"id\":" TEXT ",\"provider\":" TEXT ",\"issuer\":" TEXT
                             ",\"email\":" TEXT ",\"created_at\":" TIME
                             ",\"last_used_at\":" TIME) "}")},
    {"Invite",
     "{\"type\":\"object\",\"required\":[\"id\",\"email\",\"role\"],\"properties\":{\"id\":" TEXT
     "," EMAIL "," ROLE ",\"organisation\":" MAYBE ",\"created_at\":" TIME ",\"expires_at\":" TIME
     ",\"invite\":{\"type\":\"string\",\"description\":\"Only in the answer that made it.\"}}}"},
    {"Message",
     "{\"type\":\"object\",\"required\":[\"id\",\"to\",\"kind\",\"subject\",\"body\"],"
     "\"properties\":{\"id\":" TEXT ",\"to\":" TEXT ",\"kind\":" TEXT ",\"subject\":" TEXT
     ",\"body\":" TEXT ",\"created_at\":" TIME ",\"expires_at\":" TIME "}}"},
    {"InvitePage", PAGE_OF("Invite")},
    {"OutboxPage", PAGE_OF("Message")},
    {"OAuthAnswer", "{\"type\":\"object\"}"},
    {"DeviceDecision", OBJECT("\"allow\"", "\"allow\":" FLAG)},
    {"DeviceRequest", OBJECT("\"client_id\",\"name\",\"scope\"",
                             "\"client_id\":" TEXT ",\"name\":" TEXT ",\"scope\":" TEXT)},
    {"NewClient", OBJECT("\"name\"", NAME
                         ",\"confidential\":" FLAG
                         ",\"redirect_uris\":{\"type\":\"array\",\"maxItems\":16,\"items\":" TEXT
                         "},\"grant_types\":{\"type\":\"array\",\"maxItems\":16,\"items\":" TEXT
                         "},\"scopes\":{\"type\":\"array\",\"maxItems\":16,\"items\":" TEXT "}")},
    {"Client", "{\"type\":\"object\",\"required\":[\"client_id\",\"name\"],\"properties\":{"
               "\"client_id\":" TEXT "," NAME ",\"confidential\":" FLAG
               ",\"redirect_uris\":{\"type\":\"array\",\"maxItems\":16,\"items\":" TEXT
               "},\"grant_types\":{\"type\":\"array\",\"maxItems\":16,\"items\":" TEXT
               "},\"scopes\":{\"type\":\"array\",\"maxItems\":16,\"items\":" TEXT
               "},\"created_at\":" TIME ",\"client_secret\":" TEXT "}}"},
    {"ClientPage", PAGE_OF("Client")},
    {"UserImport",
     OBJECT("\"users\"",
            "\"users\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":100,\"items\":" OBJECT(
                "\"email\",\"name\",\"password_hash\"",
                EMAIL "," NAME "," ROLE ",\"password_hash\":{\"type\":\"string\",\"minLength\":1,"
                      "\"maxLength\":159}") "}")},
    {"Imported", "{\"type\":\"object\",\"properties\":{\"imported\":{\"type\":\"integer\"}}}"},
    {"Rotation", OBJECT("", "\"now\":" FLAG)},
    {"SigningKeys",
     "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":{\"items\":{\"type\":\"array\","
     "\"items\":{\"type\":\"object\",\"required\":[\"kid\",\"signs\"],\"properties\":{\"kid\":" TEXT
     ",\"algorithm\":" TEXT ",\"created_at\":" TIME ",\"active_at\":" TIME ",\"signs\":" FLAG
     "}}}}}"},
    {"Reauthentication", OBJECT("\"password\"", "\"password\":" TEXT)},
    {"Session",
     "{\"type\":\"object\",\"required\":[\"id\",\"kind\",\"current\"],\"properties\":{\"id\":" TEXT
     ",\"created_at\":" TIME ",\"last_used_at\":" TIME ",\"expires_at\":" TIME ",\"address\":" TEXT
     ",\"client\":" TEXT ",\"second_factor\":" FLAG
     ",\"kind\":{\"type\":\"string\",\"enum\":[\"token\",\"cookie\",\"application\"]},"
     "\"current\":" FLAG "}}"},
    {"SessionPage", PAGE_OF("Session")},
    {"NewApiKey",
     OBJECT("\"name\",\"scopes\"",
            NAME ",\"scopes\":" SCOPES ",\"expires_in\":{\"type\":\"integer\",\"minimum\":0,"
                 "\"maximum\":158112000,\"description\":\"Seconds; 0: never; 90 days unless "
                 "given.\"}")},
    {"ApiKey",
     "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"prefix\",\"scopes\"],"
     "\"properties\":{\"id\":" TEXT "," NAME ",\"prefix\":" TEXT ",\"scopes\":" SCOPES
     ",\"created_at\":" TIME ",\"expires_at\":" TIME ",\"last_used_at\":" TIME
     ",\"last_used_address\":" TEXT
     ",\"key\":{\"type\":\"string\",\"description\":\"Only in the answer that made it.\"}}}"},
    {"ApiKeyPage", PAGE_OF("ApiKey")},
    {NULL, NULL},
};
