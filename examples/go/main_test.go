// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(t *testing.T, binary string, flags ...string) string {
	t.Helper()
	command := exec.Command(binary, append([]string{"--listen", "127.0.0.1:0"}, flags...)...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	line, _ := bufio.NewReader(out).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("it printed %q", line)
	}
	return "http://" + address
}

func ask(t *testing.T, method, url, key, body string) (int, string, http.Header) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		request.Header.Set("X-Api-Key", key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text), response.Header
}

// expect wants these statuses, one request after the other.
func expect(t *testing.T, method, url, key string, statuses ...int) {
	t.Helper()
	for i, status := range statuses {
		if got, text, _ := ask(t, method, url, key, ""); got != status {
			t.Errorf("%s %s as %q, request %d: %d (%s), expected %d", method, url, key, i, got, text, status)
		}
	}
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "service")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

const strict = `
version: 1
limiters: {basic: 3/hour, report: 1/hour, tokens: 1000/hour overdraft 500}
tiers: {basic: [basic]}
default_tier: basic
rules:
  - {when: {path: /health}, exempt: true}
  - {when: {path: /report, method: POST}, limit: report}
  - {when: {path: /generate}, limit: tokens, cost: "{tokens}", settle: "{tokens_used}"}
  - {when: {path: [/items, /report]}, limit: tier}
callers: {k_evil: {ban: true}}
`

func TestTheServiceLimitsEachCallerByItsPolicy(t *testing.T) {
	binary := build(t)
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(strict), 0o600); err != nil {
		t.Fatal(err)
	}
	url := start(t, binary, "--store", "memory://", "--policy", file)
	for _, key := range []string{"k_1", "k_2", ""} {
		expect(t, "POST", url+"/report", key, 200, 429)
		expect(t, "GET", url+"/items", key, 200, 200, 429, 429) // what was denied cost nothing
		expect(t, "GET", url+"/health", key, 200, 200)
	}
	expect(t, "GET", url+"/items", "k_evil", 403)

	// 900 of 1,000 tokens are reserved, 6 are used: all but those come back behind the answer.
	generate := url + "/generate?max_tokens=900"
	for n := range 2 {
		status, text, header := 0, "", http.Header{}
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if status, text, header = ask(t, "POST", generate, "k_1", "one two three"); status != 429 {
				break
			}
		}
		if status != 200 || text != "ONE TWO THREE\n" || header.Get("X-Tokens-Used") != "6" {
			t.Errorf("generation %d: %d %q, %s tokens", n, status, text, header.Get("X-Tokens-Used"))
		}
	}
	expect(t, "POST", url+"/generate?max_tokens=2000", "k_1", 429)
	expect(t, "POST", url+"/generate?max_tokens=1", "k_1", 400)
}

func TestTheExamplesPolicyIsFoundFromAnyDirectory(t *testing.T) {
	binary := build(t)
	t.Chdir(t.TempDir())
	url := start(t, binary, "--store", "memory://")
	expect(t, "POST", url+"/report", "k_1", 200, 200, 200, 200, 200, 429)
	expect(t, "GET", url+"/items", "k_1", 200)
}

func TestAFaultyPolicyIsSaidAtTheStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.yaml")
	faulty := "version: 1\nlimiters: {a: lots}\n"
	if err := os.WriteFile(file, []byte(faulty), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(build(t), "--store", "memory://", "--policy", file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "line 2") || !strings.Contains(string(out), "lots") {
		t.Errorf("%v %s", err, out)
	}
}
