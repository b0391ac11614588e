// SPDX-License-Identifier: Apache-2.0
// app.js — shows the appliance's state on the landing page: /readyz, every ten seconds while seen.
"use strict";
(function () {
  var line = document.getElementById("state");
  var text = document.getElementById("state-text");
  var list = document.getElementById("checks");

  var words = {};
  list.dataset.words.split("|").forEach(function (pair) {
    words[pair.split("=")[0]] = pair.split("=")[1];
  });
  function say(word) { return words[word] || word; }

  function show(kind, words) {
    line.className = "state " + kind;
    if (text.textContent !== words) text.textContent = words;
  }

  function showChecks(checks) {
    list.textContent = "";
    (checks || []).forEach(function (check) {
      var name = document.createElement("dt");
      var value = document.createElement("dd");
      name.textContent = say(check.name);
      value.textContent = say(check.status) + (check.detail ? ": " + check.detail : "");
      list.append(name, value);
    });
    list.hidden = !list.firstChild;
  }

  function ask() {
    if (document.hidden) return;
    fetch("/readyz", { cache: "no-store" }).then(function (answer) {
      return answer.json().catch(function () { return {}; }).then(function (body) {
        show(answer.ok ? "ok" : "bad", answer.ok ? line.dataset.ready
          : line.dataset.notReady + (body.detail ? " " + body.detail : ""));
        showChecks(Array.isArray(body.checks) ? body.checks : []);
      });
    }).catch(function () { show("bad", line.dataset.unreachable); });
  }

  ask();
  setInterval(ask, 10000);
  document.addEventListener("visibilitychange", ask);
})();
