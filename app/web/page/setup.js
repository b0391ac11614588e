// SPDX-License-Identifier: Apache-2.0
// setup.js — sends the first administrator's form as JSON and shows the answer in words.
"use strict";
(function () {
  var form = document.getElementById("setup");
  var answer = document.getElementById("answer");
  var button = form.querySelector("button");

  function say(kind, words) {
    answer.className = kind;
    answer.textContent = words;
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    var body = {};
    ["code", "name", "email", "password"].forEach(function (name) {
      body[name] = form.elements.namedItem(name).value;
    });
    body.code = body.code.trim().toUpperCase();
    button.disabled = true;
    say("", form.dataset.working);
    fetch("/api/v1/setup", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body)
    }).then(function (reply) {
      if (reply.ok) {
        form.reset();
        say("ok", form.dataset.done);
        return;
      }
      return reply.json().catch(function () { return {}; }).then(function (problem) {
        say("bad", problem.detail || problem.title || String(reply.status));
        button.disabled = false;
      });
    }).catch(function () {
      say("bad", form.dataset.unreachable);
      button.disabled = false;
    });
  });
})();
