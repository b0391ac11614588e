/* SPDX-License-Identifier: Apache-2.0 */
/* auth_factor_test.c — the second factor as a client meets it: turned on with a code, asked for at
 * sign-in, never twice with one code, and what helps when the phone is lost. */
#include "app/auth/factor.c"
#include "tests/unit/whole.h"

#define LOGIN "/api/v1/auth/login"
#define SECOND "/api/v1/auth/login/second-factor"
#define ME "/api/v1/auth/me"
#define TOTP "/api/v1/auth/mfa/totp"
#define ADA_LOGIN "{\"email\":\"ada@example.org\",\"password\":\"" ROOT_PASSWORD "\"%s}"

static u8 secret[SECRET_BYTES];
static char recovery[RECOVERY_CODES][16];

static void unbase32(const char *text) {
    u32 bits = 0, have = 0, n = 0;
    for (; *text; text++) {
        u32 v = *text >= 'A' ? (u32)(*text - 'A') : (u32)(*text - '2' + 26);
        bits = (bits << 5 | v) & 0xFFFF;
        if ((have += 5) >= 8) secret[n++] = (u8)(bits >> (have -= 8));
    }
    EXPECT_EQ(n, SECRET_BYTES);
}
static const char *code_at(s64 offset) {
    static char text[8];
    u64 step = (u64)((s64)(auth_now_ns() / NS_PER_S / 30) + offset);
    snprintf(text, sizeof text, "%06u", hotp(str_of((char *)secret, sizeof secret), step, 1000000));
    return text;
}
static int with_code_of(const char *path, enum who who, const char *code) {
    char body[128];
    snprintf(body, sizeof body, "{\"code\":\"%s\"}", code);
    return ask(HTTP_POST, path, who, body);
}
static int sign_in(const char *more) {
    char body[256];
    snprintf(body, sizeof body, ADA_LOGIN, more);
    return ask(HTTP_POST, LOGIN, GUEST, body);
}
static int second(const char *ticket, const char *code) {
    char body[256];
    snprintf(body, sizeof body, "{\"mfa_token\":\"%s\",\"code\":\"%s\"}", ticket, code);
    return ask(HTTP_POST, SECOND, GUEST, body);
}
static void ticket_of(char ticket[128]) {
    EXPECT_EQ(sign_in(""), 401);
    EXPECT(code("second_factor_required"));
    EXPECT_OK(str_to_c(whole_text("mfa_token"), ticket, 128));
}
static void later(u64 seconds) {
    sim_wall_step((s64)(seconds * NS_PER_S));
}
static void sql(const char *text) {
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, text));
    EXPECT_OK(db_write_commit(t));
}

static void turn_on(void) {
    static bool done;
    whole_begin();
    if (done) return;
    done = true;
    EXPECT_EQ(ask(HTTP_POST, TOTP, ADA, NULL), 200);
    char text[64];
    EXPECT_OK(str_to_c(whole_text("secret"), text, sizeof text));
    unbase32(text);
    EXPECT(body_has("otpauth://totp/OpenPolicy:ada@example.org?secret="));
    EXPECT(body_has("<svg xmlns=") && body_has("M4 4h1v1h-1z")); /* a finder's corner is dark */
    EXPECT_EQ(sign_in(""), 200);                                 /* pending: not asked for */
    EXPECT_EQ(with_code_of(TOTP "/confirm", ADA, "000000"), 403);
    EXPECT_EQ(with_code_of(TOTP "/confirm", BOB, code_at(0)), 409);
    EXPECT_EQ(with_code_of(TOTP "/confirm", ADA, code_at(0)), 200);
    const cJSON *codes = whole_member("recovery_codes");
    EXPECT_EQ(cJSON_GetArraySize(codes), RECOVERY_CODES);
    for (int i = 0; i < RECOVERY_CODES; i++)
        snprintf(recovery[i], sizeof recovery[i], "%s", cJSON_GetArrayItem(codes, i)->valuestring);
    EXPECT_EQ(with_code_of(TOTP "/confirm", ADA, code_at(0)), 409);
    EXPECT_EQ(ask(HTTP_POST, TOTP, ADA, NULL), 409);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/auth/mfa", ADA, NULL), 200);
    EXPECT(body_has("\"totp\":true") && body_has("\"recovery_codes\":10") &&
           body_has("\"shown\":true"));
}

TEST(it_is_asked_for_at_sign_in_and_a_code_works_once) {
    char ticket[128], again[128];
    turn_on();
    later(60);
    ticket_of(ticket);
    EXPECT(body_has("\"totp\"") && body_has("\"recovery_code\"") && !body_has("access_token"));
    EXPECT_EQ(second(ticket, "000000"), 401);
    EXPECT(code("code_refused"));
    char good[8];
    snprintf(good, sizeof good, "%s", code_at(0));
    EXPECT_EQ(second(ticket, good), 200);
    EXPECT(body_has("access_token"));
    EXPECT_EQ(second(ticket, code_at(1)), 401); /* the ticket is used */
    EXPECT(code("mfa_token_refused"));
    ticket_of(again);
    EXPECT_EQ(second(again, good), 401);        /* the code was used */
    EXPECT_EQ(second(again, code_at(-1)), 401); /* older than the one used */
    later(30);
    EXPECT_EQ(second(again, code_at(0)), 200);
    EXPECT_EQ(second("opm_nothing", code_at(0)), 401);
}

TEST(both_at_once_is_a_sign_in_too) {
    char more[64];
    turn_on();
    later(60);
    snprintf(more, sizeof more, ",\"code\":\"%s\"", code_at(0));
    EXPECT_EQ(sign_in(more), 200);
    EXPECT_EQ(sign_in(more), 401); /* replayed */
    EXPECT(code("code_refused"));
    EXPECT_EQ(ask(HTTP_POST, LOGIN, GUEST,
                  "{\"email\":\"ada@example.org\",\"password\":\"wrong\",\"code\":\"123456\"}"),
              401);
    EXPECT(code("login_failed")); /* no word about the second factor */
}

TEST(a_cookie_waits_for_the_second_step) {
    char ticket[128];
    turn_on();
    later(60);
    EXPECT_EQ(sign_in(",\"cookie\":true,\"remember\":true"), 401);
    EXPECT(!header("Set-Cookie"));
    EXPECT_OK(str_to_c(whole_text("mfa_token"), ticket, sizeof ticket));
    EXPECT_EQ(second(ticket, code_at(0)), 200);
    EXPECT(header("Set-Cookie: __Host-openpolicy=ops_") && header("Max-Age="));
    EXPECT(!body_has("access_token"));
}

TEST(five_wrong_codes_end_the_ticket_and_a_hundred_the_codes) {
    char ticket[128];
    turn_on();
    later(60);
    ticket_of(ticket);
    for (int i = 0; i < ONCE_TRIES; i++) EXPECT_EQ(second(ticket, "000000"), 401);
    EXPECT_EQ(second(ticket, code_at(0)), 401);
    EXPECT(code("mfa_token_refused"));
    sql("UPDATE factor_totp SET failures=100");
    ticket_of(ticket);
    EXPECT_EQ(second(ticket, code_at(0)), 401);
    EXPECT_EQ(second(ticket, recovery[9]), 401);
    sql("UPDATE factor_totp SET failures=99");
    EXPECT_EQ(second(ticket, code_at(0)), 200);
    EXPECT_EQ(storage_number("SELECT failures FROM factor_totp"), 0);
}

TEST(a_recovery_code_works_once_however_it_is_typed) {
    char ticket[128], typed[32];
    turn_on();
    later(60);
    ticket_of(ticket);
    snprintf(typed, sizeof typed, " %.5s %.5s", recovery[0], recovery[0] + 6);
    for (char *c = typed; *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + 32);
    EXPECT_EQ(second(ticket, typed), 200);
    ticket_of(ticket);
    EXPECT_EQ(second(ticket, recovery[0]), 401);
    EXPECT_EQ(second(ticket, recovery[1]), 200);
    EXPECT_EQ(storage_number("SELECT count(*) FROM factor_recovery"), 8);
    EXPECT_EQ(storage_number("SELECT count(*) FROM factor_recovery WHERE length(hash)=32"), 8);
    /* New ones for a code of the app; the old are void. */
    whole_run_ms(400000);
    EXPECT_EQ(with_code_of("/api/v1/auth/mfa/recovery-codes", ADA, "000000") / 100, 4);
    snprintf(typed, sizeof typed, ",\"code\":\"%.11s\"", recovery[2]);
    EXPECT_EQ(sign_in(typed), 200);
    EXPECT_OK(str_to_c(whole_text("access_token"), whole.token[ADA], sizeof whole.token[ADA]));
    later(30);
    EXPECT_EQ(with_code_of("/api/v1/auth/mfa/recovery-codes", ADA, code_at(0)), 200);
    ticket_of(ticket);
    EXPECT_EQ(second(ticket, recovery[3]), 401);
}

TEST(it_is_turned_off_with_a_code_or_by_an_administrator) {
    char path[128], more[64], ada[64];
    turn_on();
    later(90);
    snprintf(more, sizeof more, ",\"code\":\"%s\"", code_at(0));
    EXPECT_EQ(sign_in(more), 200);
    EXPECT_OK(str_to_c(whole_text("access_token"), whole.token[ADA], sizeof whole.token[ADA]));
    EXPECT_EQ(ask(HTTP_GET, ME, ADA, NULL), 200);
    EXPECT_OK(str_to_c(whole_text("id"), ada, sizeof ada));
    EXPECT_EQ(with_code_of(TOTP "/remove", ADA, code_at(0)), 403); /* used at sign-in */
    EXPECT(code("code_refused"));
    snprintf(path, sizeof path, "/api/v1/auth/users/%s/mfa", ada);
    EXPECT(whole_login(BOB, "bob@example.org", ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_DELETE, path, BOB, NULL), 403);
    EXPECT(whole_login(ROOT, ROOT_EMAIL, ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 204);
    EXPECT_EQ(ask(HTTP_GET, ME, ADA, NULL), 401); /* every session ended */
    EXPECT_EQ(ask(HTTP_DELETE, "/api/v1/auth/users/x/mfa", ROOT, NULL), 404);
    EXPECT(whole_login(ADA, "ada@example.org", ROOT_PASSWORD));
    EXPECT_EQ(storage_number("SELECT count(*) FROM factor_totp"), 0);
    /* Once more, and off by oneself. */
    EXPECT_EQ(ask(HTTP_POST, TOTP, ADA, NULL), 200);
    char text[64];
    EXPECT_OK(str_to_c(whole_text("secret"), text, sizeof text));
    unbase32(text);
    EXPECT_EQ(with_code_of(TOTP "/confirm", ADA, code_at(0)), 200);
    later(30);
    EXPECT_EQ(with_code_of(TOTP "/remove", ADA, code_at(0)), 204);
    EXPECT(whole_login(ADA, "ada@example.org", ROOT_PASSWORD));
    EXPECT_EQ(storage_number("SELECT count(*) FROM audit WHERE action='user.mfa_on'"), 2);
    EXPECT_EQ(storage_number("SELECT count(*) FROM outbox WHERE kind='notice' AND subject LIKE "
                             "'%second factor%'") >= 4,
              true);
}

TEST(a_pending_secret_gets_too_old) {
    whole_begin();
    EXPECT(whole_login(BOB, "bob@example.org", ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_POST, TOTP, BOB, NULL), 200);
    char text[64];
    EXPECT_OK(str_to_c(whole_text("secret"), text, sizeof text));
    unbase32(text);
    later(PENDING_S + 1);
    EXPECT(whole_login(BOB, "bob@example.org", ROOT_PASSWORD));
    EXPECT_EQ(with_code_of(TOTP "/confirm", BOB, code_at(0)), 409);
    EXPECT_EQ(ask(HTTP_POST, TOTP "/confirm", BOB, "{\"code\":7}"), 422);
    EXPECT_EQ(ask(HTTP_POST, TOTP "/confirm", BOB, "{}"), 422);
    EXPECT_EQ(ask(HTTP_POST, SECOND, GUEST, "{\"code\":\"1\"}"), 422);
}
