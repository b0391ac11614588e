/* SPDX-License-Identifier: Apache-2.0 */
/* http_cases.h — requests that must be served and requests that must be refused, each with where
 * the rule stands. `status`: 200 = served; 0 = incomplete, the server waits; else the refusal, after
 * which the connection is closed. Read by the parser's test and, over a connection, the server's. */
#pragma once
#include "kernel/base/base.h"

struct http_case {
    const char *name, *rule;
    str bytes;
    int status;
};
#define H "Host: a\r\n"
#define C(name, rule, status, text) {name, rule, {text, sizeof(text) - 1}, status},
#define CHUNKED "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"

static const struct http_case http_cases[] = {
    /* What is ordinary */
    C("plain get", "9112 2.1", 200, "GET / HTTP/1.1\r\n" H "\r\n")
    C("head", "9110 9.3.2", 200, "HEAD / HTTP/1.1\r\n" H "\r\n")
    C("http/1.0 without host", "9112 3.2", 200, "GET / HTTP/1.0\r\n\r\n")
    C("higher minor version", "9110 2.5", 200, "GET / HTTP/1.2\r\n" H "\r\n")
    C("unknown method is the handler's", "9110 9.1", 200, "PURGE / HTTP/1.1\r\n" H "\r\n")
    C("query", "9112 3.2.1", 200, "GET /a?b=c&d HTTP/1.1\r\n" H "\r\n")
    C("absolute form", "9112 3.2.2", 200, "GET http://a/x HTTP/1.1\r\n" H "\r\n")
    C("absolute form without path", "9112 3.2.2", 200, "GET http://a HTTP/1.1\r\n" H "\r\n")
    C("absolute form outranks another host", "9112 3.2.2", 200, "GET http://b/ HTTP/1.1\r\n" H "\r\n")
    C("absolute form outranks another port", "9112 3.2.2", 200, "GET http://a:81/ HTTP/1.1\r\n" H "\r\n")
    C("absolute form, https and case", "9110 4.2.3", 200, "GET HTTPS://A/x HTTP/1.1\r\n" H "\r\n")
    C("asterisk form", "9112 3.2.4", 200, "OPTIONS * HTTP/1.1\r\n" H "\r\n")
    C("blanks around a value", "9112 5", 200, "GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n")
    C("no blank after the colon", "9112 5", 200, "GET / HTTP/1.1\r\nHost:a\r\n\r\n")
    C("empty value", "9110 5.5", 200, "GET / HTTP/1.1\r\n" H "X:\r\n\r\n")
    C("obs-text in a value", "9110 5.5", 200, "GET / HTTP/1.1\r\n" H "X: \xE9\xFF\r\n\r\n")
    C("tab inside a value", "9110 5.5", 200, "GET / HTTP/1.1\r\n" H "X: a\tb\r\n\r\n")
    C("name in any case", "9110 5.1", 200, "GET / HTTP/1.1\r\nhOsT: a\r\n\r\n")
    C("every token byte in a name", "9110 5.6.2", 200,
      "GET / HTTP/1.1\r\n" H "!#$%&'*+-.^`|~09Az: v\r\n\r\n")
    C("host with a port", "9110 7.2", 200, "GET / HTTP/1.1\r\nHost: a:8080\r\n\r\n")
    C("host with an empty port", "3986 3.2.3", 200, "GET / HTTP/1.1\r\nHost: a:\r\n\r\n")
    C("host is an IPv6 literal", "3986 3.2.2", 200, "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n")
    C("length and body", "9112 6.2", 200, "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc")
    C("length zero", "9112 6.2", 200, "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n")
    C("get with a body", "9110 9.3.1", 200, "GET / HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx")
    C("chunked", "9112 7.1", 200, CHUNKED "3\r\nabc\r\n0\r\n\r\n")
    C("chunked, upper case coding", "9112 7", 200,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n")
    C("chunk sizes in both cases", "9112 7.1", 200,
      CHUNKED "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n")
    C("chunk size with leading zeros", "9112 7.1", 200, CHUNKED "003\r\nabc\r\n000\r\n\r\n")
    C("chunk extension", "9112 7.1.1", 200, CHUNKED "3;a=b\r\nabc\r\n0;c\r\n\r\n")
    C("chunk extension, quoted", "9112 7.1.1", 200, CHUNKED "3;a=\"b c\"\r\nabc\r\n0\r\n\r\n")
    C("trailer field", "9112 7.1.2", 200, CHUNKED "0\r\nX-Sum: 1\r\n\r\n")
    C("one empty line before", "9112 2.2", 200, "\r\nGET / HTTP/1.1\r\n" H "\r\n")
    C("expect 100-continue with its body", "9110 10.1.1", 200,
      "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx")
    C("connection: close", "9112 9.6", 200, "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n")
    C("connection: several options", "9110 7.6.1", 200,
      "GET / HTTP/1.1\r\n" H "Connection: keep-alive, x , ,y\r\n\r\n")
    C("escapes in the path", "3986 2.1", 200, "GET /%41%c3%a9 HTTP/1.1\r\n" H "\r\n")
    C("escaped slash stays escaped", "3986 2.2", 200, "GET /a%2Fb HTTP/1.1\r\n" H "\r\n")
    C("runs of slashes", "ours", 200, "GET //a///b HTTP/1.1\r\n" H "\r\n")
    C("dots that are no segment", "3986 3.3", 200, "GET /..a/.b/c..d/... HTTP/1.1\r\n" H "\r\n")
    C("dots in the query", "3986 3.4", 200, "GET /?../.. HTTP/1.1\r\n" H "\r\n")
    C("underscore names are dropped", "ours", 200, "GET / HTTP/1.1\r\n" H "Content_Length: 9\r\n\r\n")
    C("upgrade is ignored", "9110 7.8", 200,
      "GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n")

    /* Not all here yet */
    C("nothing", "-", 0, "")
    C("half a method", "-", 0, "GE")
    C("half a target", "-", 0, "GET /ab")
    C("half a version", "-", 0, "GET / HTT")
    C("no line feed yet", "-", 0, "GET / HTTP/1.1\r")
    C("no field end yet", "-", 0, "GET / HTTP/1.1\r\nHost: a\r")
    C("no blank line yet", "-", 0, "GET / HTTP/1.1\r\n" H)
    C("half a blank line", "-", 0, "GET / HTTP/1.1\r\n" H "\r")
    C("half a body", "-", 0, "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nab")

    /* Request line */
    C("bare line feed after the request line", "9112 2.2", 400, "GET / HTTP/1.1\n" H "\r\n")
    C("bare line feed everywhere", "9112 2.2", 400, "GET / HTTP/1.1\nHost: a\n\n")
    C("bare carriage return", "9112 2.2", 400, "GET / HTTP/1.1\rHost: a\r\n\r\n")
    C("carriage return twice", "9112 2.2", 400, "GET / HTTP/1.1\r\r\n" H "\r\n")
    C("two empty lines before", "9112 2.2", 400, "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n")
    C("line feed before", "9112 2.2", 400, "\nGET / HTTP/1.1\r\n" H "\r\n")
    C("blank before the method", "9112 3", 400, " GET / HTTP/1.1\r\n" H "\r\n")
    C("two blanks after the method", "9112 3", 400, "GET  / HTTP/1.1\r\n" H "\r\n")
    C("two blanks after the target", "9112 3", 400, "GET /  HTTP/1.1\r\n" H "\r\n")
    C("tab for a blank", "9112 3", 400, "GET\t/ HTTP/1.1\r\n" H "\r\n")
    C("blank after the version", "9112 3", 400, "GET / HTTP/1.1 \r\n" H "\r\n")
    C("no target", "9112 3", 400, "GET HTTP/1.1\r\n" H "\r\n")
    C("no version", "9112 3", 400, "GET /\r\n" H "\r\n")
    C("HTTP/0.9", "9112 2.3", 400, "GET /\r\n")
    C("blank in the target", "9112 3.2", 400, "GET /a b HTTP/1.1\r\n" H "\r\n")
    C("NUL in the target", "9112 3.2", 400, "GET /a\0b HTTP/1.1\r\n" H "\r\n")
    C("control byte in the target", "9112 3.2", 400, "GET /a\x01 HTTP/1.1\r\n" H "\r\n")
    C("delete in the target", "9112 3.2", 400, "GET /a\x7F HTTP/1.1\r\n" H "\r\n")
    C("byte over 127 in the target", "9112 3.2", 400, "GET /\xC3\xA9 HTTP/1.1\r\n" H "\r\n")
    C("brackets in the method", "9110 9.1", 400, "G(T / HTTP/1.1\r\n" H "\r\n")
    C("NUL in the method", "9110 9.1", 400, "G\0T / HTTP/1.1\r\n" H "\r\n")
    C("empty method", "9110 9.1", 400, "/ HTTP/1.1\r\n" H "\r\n")
    C("method too long", "ours", 501, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ / HTTP/1.1\r\n" H "\r\n")
    C("version in lower case", "9112 2.3", 400, "GET / http/1.1\r\n" H "\r\n")
    C("version without a minor", "9112 2.3", 400, "GET / HTTP/1\r\n" H "\r\n")
    C("version with two digits", "9112 2.3", 400, "GET / HTTP/1.10\r\n" H "\r\n")
    C("version with a comma", "9112 2.3", 400, "GET / HTTP/1,1\r\n" H "\r\n")
    C("version of something else", "9112 2.3", 400, "GET / HTTPS/1.1\r\n" H "\r\n")
    C("version 2", "9112 2.3", 505, "GET / HTTP/2.0\r\n" H "\r\n")
    C("version 3", "9112 2.3", 505, "GET / HTTP/3.0\r\n" H "\r\n")
    C("version 0.9 written out", "9112 2.3", 505, "GET / HTTP/0.9\r\n" H "\r\n")
    C("HTTP/2 preface", "9113 3.4", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    C("TLS on the plain port", "-", 400, "\x16\x03\x01\x02\0\x01\0\x01\xFC\x03\x03")
    C("a JSON text", "-", 400, "{\"a\":1}")
    C("fragment in the target", "9112 3.2", 400, "GET /a#b HTTP/1.1\r\n" H "\r\n")
    C("connect", "9110 9.3.6", 501, "CONNECT a:443 HTTP/1.1\r\n" H "\r\n")
    C("authority form with get", "9112 3.2.3", 400, "GET a:80 HTTP/1.1\r\n" H "\r\n")
    C("relative target", "9112 3.2", 400, "GET a HTTP/1.1\r\n" H "\r\n")
    C("asterisk with get", "9112 3.2.4", 400, "GET * HTTP/1.1\r\n" H "\r\n")
    C("absolute form of another scheme", "9112 3.2.2", 400, "GET ftp://a/ HTTP/1.1\r\n" H "\r\n")
    C("absolute form with user info", "9110 4.2.4", 400, "GET http://u@a/ HTTP/1.1\r\n" H "\r\n")
    C("absolute form without authority", "9112 3.2.2", 400, "GET http:///x HTTP/1.1\r\n" H "\r\n")
    C("absolute form, query and no path", "ours", 400, "GET http://a?x HTTP/1.1\r\n" H "\r\n")
    C("absolute form without Host", "9112 3.2", 400, "GET http://a/ HTTP/1.1\r\n\r\n")

    /* Paths */
    C("dot segment", "3986 5.2.4", 400, "GET /a/../b HTTP/1.1\r\n" H "\r\n")
    C("dot segment at the end", "3986 5.2.4", 400, "GET /a/.. HTTP/1.1\r\n" H "\r\n")
    C("single dot segment", "3986 5.2.4", 400, "GET /./a HTTP/1.1\r\n" H "\r\n")
    C("escaped dot segment", "3986 5.2.4", 400, "GET /%2e%2e/a HTTP/1.1\r\n" H "\r\n")
    C("half escaped dot segment", "3986 5.2.4", 400, "GET /.%2E HTTP/1.1\r\n" H "\r\n")
    C("escaped NUL", "ours", 400, "GET /a%00b HTTP/1.1\r\n" H "\r\n")
    C("escaped line feed", "ours", 400, "GET /a%0Ab HTTP/1.1\r\n" H "\r\n")
    C("escaped delete", "ours", 400, "GET /a%7f HTTP/1.1\r\n" H "\r\n")
    C("bad escape", "3986 2.1", 400, "GET /%zz HTTP/1.1\r\n" H "\r\n")
    C("cut escape", "3986 2.1", 400, "GET /%4 HTTP/1.1\r\n" H "\r\n")
    C("lone percent", "3986 2.1", 400, "GET /% HTTP/1.1\r\n" H "\r\n")
    C("backslash", "ours", 400, "GET /a\\b HTTP/1.1\r\n" H "\r\n")
    C("escaped backslash", "ours", 400, "GET /a%5Cb HTTP/1.1\r\n" H "\r\n")
    C("overlong UTF-8", "3629 3", 400, "GET /%c0%ae HTTP/1.1\r\n" H "\r\n")
    C("surrogate in UTF-8", "3629 3", 400, "GET /%ed%a0%80 HTTP/1.1\r\n" H "\r\n")
    C("not UTF-8", "3629 3", 400, "GET /%ff HTTP/1.1\r\n" H "\r\n")

    /* Host */
    C("no host", "9112 3.2", 400, "GET / HTTP/1.1\r\n\r\n")
    C("two hosts", "9112 3.2", 400, "GET / HTTP/1.1\r\n" H "Host: b\r\n\r\n")
    C("the same host twice", "9112 3.2", 400, "GET / HTTP/1.1\r\n" H H "\r\n")
    C("empty host", "9112 3.2", 400, "GET / HTTP/1.1\r\nHost:\r\n\r\n")
    C("host with a path", "9112 3.2", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")
    C("host with user info", "9112 3.2", 400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n")
    C("host with a blank", "9112 3.2", 400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
    C("host list", "9112 3.2", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n")
    C("host with a bad port", "9112 3.2", 400, "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n")
    C("host with a big port", "9112 3.2", 400, "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n")
    C("host with two ports", "9112 3.2", 400, "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n")
    C("host with only a port", "9112 3.2", 400, "GET / HTTP/1.1\r\nHost: :80\r\n\r\n")
    C("host with an open bracket", "3986 3.2.2", 400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n")
    C("host with brackets around a name", "3986 3.2.2", 400, "GET / HTTP/1.1\r\nHost: [abcx]\r\n\r\n")
    C("two hosts in HTTP/1.0", "9112 3.2", 400, "GET / HTTP/1.0\r\n" H "Host: b\r\n\r\n")

    /* Field lines */
    C("blank before the colon", "9112 5.1", 400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n")
    C("tab before the colon", "9112 5.1", 400, "GET / HTTP/1.1\r\n" H "X\t: a\r\n\r\n")
    C("folded line", "9112 5.2", 400, "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n")
    C("folded line by a tab", "9112 5.2", 400, "GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n")
    C("blank before the first field", "9112 2.2", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n")
    C("no colon", "9112 5", 400, "GET / HTTP/1.1\r\n" H "X\r\n\r\n")
    C("empty name", "9110 5.1", 400, "GET / HTTP/1.1\r\n" H ": v\r\n\r\n")
    C("blank inside a name", "9110 5.1", 400, "GET / HTTP/1.1\r\n" H "X Y: v\r\n\r\n")
    C("NUL in a name", "9110 5.1", 400, "GET / HTTP/1.1\r\n" H "X\0: v\r\n\r\n")
    C("brackets in a name", "9110 5.1", 400, "GET / HTTP/1.1\r\n" H "X[1]: v\r\n\r\n")
    C("byte over 127 in a name", "9110 5.1", 400, "GET / HTTP/1.1\r\n" H "X\xE9: v\r\n\r\n")
    C("NUL in a value", "9110 5.5", 400, "GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n")
    C("control byte in a value", "9110 5.5", 400, "GET / HTTP/1.1\r\n" H "X: a\x02\r\n\r\n")
    C("delete in a value", "9110 5.5", 400, "GET / HTTP/1.1\r\n" H "X: a\x7F\r\n\r\n")
    C("bare carriage return in a value", "9112 2.2", 400, "GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n")
    C("bare line feed after a value", "9112 2.2", 400, "GET / HTTP/1.1\r\n" H "X: a\nY: b\r\n\r\n")
    C("bare line feed as the blank line", "9112 2.2", 400, "GET / HTTP/1.1\r\n" H "\n")
    C("carriage return and a byte as the blank line", "9112 2.2", 400, "GET / HTTP/1.1\r\n" H "\rX")

    /* Lengths */
    C("length and chunked", "9112 6.1", 400,
      "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    C("chunked and length", "9112 6.1", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n")
    C("two lengths", "9112 6.3", 400,
      "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")
    C("the same length twice", "9112 6.3", 400,
      "POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc")
    C("length list", "9110 8.6", 400, "POST / HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\nabc")
    C("length with a plus", "9110 8.6", 400, "POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc")
    C("negative length", "9110 8.6", 400, "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n")
    C("hexadecimal length", "9110 8.6", 400, "POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\nabc")
    C("length with a fraction", "9110 8.6", 400, "POST / HTTP/1.1\r\n" H "Content-Length: 3.0\r\n\r\nabc")
    C("length with an exponent", "9110 8.6", 400, "POST / HTTP/1.1\r\n" H "Content-Length: 1e1\r\n\r\nabc")
    C("length with a blank inside", "9110 8.6", 400,
      "POST / HTTP/1.1\r\n" H "Content-Length: 1 0\r\n\r\nabc")
    C("length with a letter after", "9110 8.6", 400,
      "POST / HTTP/1.1\r\n" H "Content-Length: 3a\r\n\r\nabc")
    C("length with leading zeros", "ours", 400, "POST / HTTP/1.1\r\n" H "Content-Length: 03\r\n\r\nabc")
    C("empty length", "9110 8.6", 400, "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n")
    C("length with a quote", "9110 8.6", 400, "POST / HTTP/1.1\r\n" H "Content-Length: \"3\"\r\n\r\nabc")
    C("length over 64 bits", "9110 8.6", 400,
      "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551617\r\n\r\n")
    C("length over 63 bits", "9110 8.6", 400,
      "POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n")
    C("length in other digits", "9110 8.6", 400, "POST / HTTP/1.1\r\n" H "Content-Length: \xC2\xB3\r\n\r\n")

    /* Transfer-Encoding */
    C("encoding in HTTP/1.0", "9112 6.1", 400,
      "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    C("chunked twice", "9112 6.1", 400,
      "POST / HTTP/1.1\r\n" H
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    C("chunked twice in a list", "9112 7", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n")
    C("chunked is not last", "9112 6.3", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n")
    C("another coding before chunked", "ours", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
    C("only another coding", "9112 6.3", 400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n")
    C("identity", "9112 7", 400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n")
    C("identity and chunked in two fields", "9112 6.1", 400,
      "POST / HTTP/1.1\r\n" H
      "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    C("misspelt coding", "9112 7", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")
    C("coding with a suffix", "9112 7", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n")
    C("coding in quotes", "9112 7", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n")
    C("coding with a parameter", "9112 7", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n")
    C("coding with a comma", "9112 7", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n")
    C("coding with a vertical tab", "9110 5.5", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0B" "chunked\r\n\r\n0\r\n\r\n")
    C("coding with a form feed", "9110 5.5", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0C" "chunked\r\n\r\n0\r\n\r\n")
    C("coding after a no-break space", "9112 7", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \xA0" "chunked\r\n\r\n0\r\n\r\n")
    C("empty coding", "9112 7", 400, "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n")
    C("blank before the coding's colon", "9112 5.1", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n")
    C("folded coding", "9112 5.2", 400,
      "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n")
    C("coding hidden behind a bare carriage return", "9112 2.2", 400,
      "POST / HTTP/1.1\r\n" H "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    C("coding hidden behind a bare line feed", "9112 2.2", 400,
      "POST / HTTP/1.1\r\n" H "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    C("underscored coding is not one", "ours", 200,
      "POST / HTTP/1.1\r\n" H "Transfer_Encoding: chunked\r\nContent-Length: 1\r\n\r\nx")

    /* Chunks */
    C("empty chunk size", "9112 7.1", 400, CHUNKED "\r\nabc\r\n0\r\n\r\n")
    C("chunk size with 0x", "9112 7.1", 400, CHUNKED "0x3\r\nabc\r\n0\r\n\r\n")
    C("chunk size with a plus", "9112 7.1", 400, CHUNKED "+3\r\nabc\r\n0\r\n\r\n")
    C("negative chunk size", "9112 7.1", 400, CHUNKED "-3\r\nabc\r\n0\r\n\r\n")
    C("chunk size with a blank before", "9112 7.1", 400, CHUNKED " 3\r\nabc\r\n0\r\n\r\n")
    C("chunk size with a blank after", "9112 7.1", 400, CHUNKED "3 \r\nabc\r\n0\r\n\r\n")
    C("chunk size with an underscore", "9112 7.1", 400, CHUNKED "1_0\r\nabc\r\n0\r\n\r\n")
    C("chunk size not hexadecimal", "9112 7.1", 400, CHUNKED "g\r\nabc\r\n0\r\n\r\n")
    C("chunk size over 64 bits", "9112 7.1", 400, CHUNKED "10000000000000003\r\nabc\r\n0\r\n\r\n")
    C("chunk size that wraps", "9112 7.1", 400, CHUNKED "FFFFFFFFFFFFFFFFF\r\nabc\r\n")
    C("chunk size line ends in a bare line feed", "9112 7.1", 400, CHUNKED "3\nabc\r\n0\r\n\r\n")
    C("chunk size line ends in a bare carriage return", "9112 7.1", 400, CHUNKED "3\rabc\r\n0\r\n\r\n")
    C("chunk longer than its size", "9112 7.1", 400, CHUNKED "3\r\nabcd\r\n0\r\n\r\n")
    C("chunk shorter than its size", "9112 7.1", 400, CHUNKED "5\r\nabc\r\n0\r\n\r\n")
    C("no line end after a chunk", "9112 7.1", 400, CHUNKED "3\r\nabc0\r\n\r\n")
    C("bare line feed after a chunk", "9112 7.1", 400, CHUNKED "3\r\nabc\n0\r\n\r\n")
    C("bare carriage return after a chunk", "9112 7.1", 400, CHUNKED "3\r\nabc\rX0\r\n\r\n")
    C("extension without a name", "9112 7.1.1", 400, CHUNKED "3;\r\nabc\r\n0\r\n\r\n")
    C("extension with a blank after the semicolon", "ours", 400, CHUNKED "3; a\r\nabc\r\n0\r\n\r\n")
    C("extension that ends in a blank", "ours", 400, CHUNKED "3;a \r\nabc\r\n0\r\n\r\n")
    C("extension with a bare line feed", "9112 7.1.1", 400, CHUNKED "3;a\nabc\r\n0\r\n\r\n")
    C("extension with a bare carriage return", "9112 7.1.1", 400, CHUNKED "3;a\rb\r\nabc\r\n0\r\n\r\n")
    C("extension with a NUL", "9112 7.1.1", 400, CHUNKED "3;a\0\r\nabc\r\n0\r\n\r\n")
    C("extension with a byte over 127", "ours", 400, CHUNKED "3;a\xFF\r\nabc\r\n0\r\n\r\n")
    C("extension without a value", "9112 7.1.1", 400, CHUNKED "3;a=\r\nabc\r\n0\r\n\r\n")
    C("trailer that frames: length", "9110 6.5.1", 400, CHUNKED "0\r\nContent-Length: 5\r\n\r\n")
    C("trailer that frames: encoding", "9110 6.5.1", 400, CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n")
    C("trailer that routes", "9110 6.5.1", 400, CHUNKED "0\r\nHost: b\r\n\r\n")
    C("trailer that authenticates", "9110 6.5.1", 400, CHUNKED "0\r\nAuthorization: x\r\n\r\n")
    C("trailer without a colon", "9112 7.1.2", 400, CHUNKED "0\r\nX\r\n\r\n")
    C("trailer folded", "9112 5.2", 400, CHUNKED "0\r\nX: a\r\n b\r\n\r\n")
    C("trailer with a bare line feed", "9112 2.2", 400, CHUNKED "0\r\nX: a\n\r\n")
    C("bare line feed ends the body", "9112 2.2", 400, CHUNKED "0\r\n\n")
    C("a request where the trailer should be", "9112 7.1", 400, CHUNKED "0\r\nGET / HTTP/1.1\r\n" H "\r\n")

    /* Expect, Connection */
    C("another expectation", "9110 10.1.1", 417, "GET / HTTP/1.1\r\n" H "Expect: 200-ok\r\n\r\n")
    C("connection option that is no token", "9110 7.6.1", 400,
      "GET / HTTP/1.1\r\n" H "Connection: a b\r\n\r\n")
};
#undef H
#undef C
#undef CHUNKED
