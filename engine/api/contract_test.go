package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/api"
)

// contract is the OpenAPI document of a handler. Its schemas are JSON Schema, and here
// they allow no member that they do not name.
type contract struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
	routes   []contractRoute
	mu       sync.Mutex // guards compiler
}

type contractRoute struct {
	id, method, path string
	match            *regexp.Regexp
	responses        map[string]any
}

// theContract is the contract of this version. It is the same for each handler.
var theContract = sync.OnceValue(func() *contract {
	w := httptest.NewRecorder()
	as(admin, api.Handler(nil, api.Config{})).ServeHTTP(w, httptest.NewRequest("GET", "/openapi.json", nil))
	doc, err := jsonschema.UnmarshalJSON(w.Body)
	if err != nil {
		panic(err)
	}
	c := &contract{doc: doc.(map[string]any), compiler: jsonschema.NewCompiler()}
	for _, schema := range c.schemas() {
		if s := schema.(map[string]any); s["properties"] != nil {
			s["additionalProperties"] = false
		}
	}
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource("doc.json", doc); err != nil {
		panic(err)
	}
	for path, item := range c.doc["paths"].(map[string]any) {
		for method, o := range item.(map[string]any) {
			op := o.(map[string]any)
			c.routes = append(c.routes, contractRoute{
				id: op["operationId"].(string), method: strings.ToUpper(method), path: path,
				match:     regexp.MustCompile("^" + regexp.MustCompile(`\\\{[^}]*\\\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$"),
				responses: op["responses"].(map[string]any),
			})
		}
	}
	// A path without a parameter comes first, as in net/http.
	slices.SortFunc(c.routes, func(a, b contractRoute) int { return strings.Count(a.path, "{") - strings.Count(b.path, "{") })
	return c
})

func (c *contract) schemas() map[string]any {
	return c.doc["components"].(map[string]any)["schemas"].(map[string]any)
}

// check validates JSON with the schema at a place in the document.
func (c *contract) check(place string, text []byte) error {
	c.mu.Lock()
	schema, err := c.compiler.Compile("doc.json#" + place)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// answer validates an answer, and returns the operation id of its route.
func (c *contract) answer(method, path string, status int, header http.Header, body []byte) (string, error) {
	for _, r := range c.routes {
		if r.method != method || !r.match.MatchString(path) {
			continue
		}
		key := strconv.Itoa(status)
		if r.responses[key] == nil {
			key = "default"
			if status < 400 {
				return r.id, fmt.Errorf("the status %d is not in the document", status)
			}
		}
		content, _ := r.responses[key].(map[string]any)["content"].(map[string]any)
		kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
		switch {
		case len(content) == 0 && len(body) == 0 && kind == "":
			return r.id, nil
		case content[kind] == nil:
			return r.id, fmt.Errorf("the type %q of the answer to %d is not in the document", kind, status)
		case !strings.HasSuffix(kind, "json"):
			return r.id, nil
		}
		escape := strings.NewReplacer("~", "~0", "/", "~1").Replace
		place := fmt.Sprintf("/paths/%s/%s/responses/%s/content/%s/schema", escape(r.path), strings.ToLower(method), key, escape(kind))
		return r.id, c.check(place, body)
	}
	if status == http.StatusNotFound {
		return "", c.check("/components/schemas/Problem", body)
	}
	return "", fmt.Errorf("no route of the document")
}

// validating validates each answer that a client gets.
type validating struct {
	t    *testing.T
	next http.RoundTripper
	mu   sync.Mutex
	seen map[string]bool // the routes that gave what was asked for
}

func (v *validating) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := v.next.RoundTrip(r)
	if err != nil || r.URL.Path == "/openapi.json" || answer.StatusCode == http.StatusUnauthorized {
		return answer, err
	}
	var body []byte
	if strings.HasSuffix(answer.Header.Get("Content-Type"), "json") {
		if body, err = io.ReadAll(answer.Body); err != nil {
			return nil, err
		}
		answer.Body.Close()
		answer.Body = io.NopCloser(bytes.NewReader(body))
	}
	id, err := theContract().answer(r.Method, r.URL.EscapedPath(), answer.StatusCode, answer.Header, body)
	if err != nil {
		v.t.Errorf("%s %s: %d %s\nis not as the document says: %v", r.Method, r.URL, answer.StatusCode, body, err)
	}
	if answer.StatusCode < 300 {
		v.mu.Lock()
		v.seen[id] = true
		v.mu.Unlock()
	}
	return answer, nil
}

// TestContract gets an answer from each route of the document.
func TestContract(t *testing.T) {
	t.Parallel()
	b := newBench(t, admin)
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	later := request("ws-9")
	later.NotBefore = time.Now().Add(time.Hour)
	open := must(b.client.Start(ctx, later))
	must(b.client.Explain(ctx, open.ID))
	b.run(t)
	head := must(b.client.Head(ctx))
	r := must(b.client.Start(ctx, request("ws-1")))
	must(b.client.StartAll(ctx, []engine.Request{request("ws-1"), request("ws-2"), request("a/b"), {Ref: later.Ref, ClientToken: "x"}}))
	for _, err := range b.client.Follow(ctx, head) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	must(b.client.Wait(ctx, r.ID))
	must(b.client.Explain(ctx, r.ID))
	must(b.client.Explain(ctx, open.ID))
	must(b.client.Retry(ctx, r.ID, ""))
	must(0, b.client.RetryNow(ctx, r.ID, ""))
	must(b.client.Cancel(ctx, open.ID, ""))
	must(collect(b.client.List(ctx, engine.Filter{})))
	must(collect(b.client.Events(ctx, "")))
	must(collect(b.client.Sessions(ctx, "comp")))
	must(b.client.Session(ctx, request("ws-1").Ref))
	must(b.client.Find(ctx, request("ws-1").Ref))
	must(0, b.client.Pause(ctx, "comp", ""))
	must(b.client.Stats(ctx))
	must(0, b.client.Resume(ctx, "comp", ""))
	b.client.Nudge()
	must(b.client.Prune(ctx))
	must(0, b.client.Adopt(ctx, ""))
	must(0, b.client.Backup(ctx, filepath.Join(t.TempDir(), "copy.db")))
	b.send(t, "GET", "/v1/operations/"+string(r.ID), "")
	tokens := b.client.Tokens()
	token := must(tokens.Create(ctx, tokenRequest("render-bot"), ""))
	must(tokens.Rotate(ctx, token.ID, ""))
	must(tokens.Revoke(ctx, token.ID, ""))
	must(tokens.List(ctx))
	for _, route := range theContract().routes {
		if !b.answers.seen[route.id] {
			t.Errorf("%s %s (%s) was not asked", route.method, route.path, route.id)
		}
	}
}

// TestContractRequests requires that no request may have a member that its schema does
// not name. A misspelt scope must not give access to every session.
func TestContractRequests(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	as(admin, api.Handler(nil, api.Config{})).ServeHTTP(w, httptest.NewRequest("GET", "/openapi.json", nil))
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					}
				}
			}
		}
		Components struct {
			Schemas map[string]struct{ AdditionalProperties any }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	found := 0
	for path, item := range doc.Paths {
		for method, op := range item {
			for _, content := range op.RequestBody.Content {
				found++
				name := strings.TrimPrefix(content.Schema.Ref, "#/components/schemas/")
				if schema, ok := doc.Components.Schemas[name]; !ok || schema.AdditionalProperties != false {
					t.Errorf("%s %s: the schema %q of the request allows other members: end its name in Request", method, path, name)
				}
			}
		}
	}
	if found < 3 {
		t.Errorf("%d requests have a body", found)
	}
}

// TestContractFinds shows that an answer that the document does not allow is found.
func TestContractFinds(t *testing.T) {
	t.Parallel()
	json, none := http.Header{"Content-Type": {"application/json"}}, http.Header{}
	for _, c := range []struct {
		method, path string
		status       int
		header       http.Header
		body         string
		ok           bool
	}{
		{"POST", "/v1/store/prune", 200, json, `{"removed":3}`, true},
		{"POST", "/v1/store/prune", 200, json, `{"removed":3,"also":1}`, false},
		{"POST", "/v1/store/prune", 200, json, `{"removed":"3"}`, false},
		{"POST", "/v1/store/prune", 200, json, `{}`, false},
		{"POST", "/v1/store/prune", 201, json, `{"removed":3}`, false},
		{"POST", "/v1/store/prune", 200, http.Header{"Content-Type": {"text/plain"}}, `{"removed":3}`, false},
		{"POST", "/v1/nudge", 204, none, ``, true},
		{"POST", "/v1/operations/x/cancel", 200, json, `{"cancellation":"accepted"}`, true},
		{"POST", "/v1/operations/x/cancel", 200, json, `{"cancellation":"undone"}`, false},
		{"GET", "/v1/none", 200, json, `{}`, false},
	} {
		if _, err := theContract().answer(c.method, c.path, c.status, c.header, []byte(c.body)); (err == nil) != c.ok {
			t.Errorf("%s %s %d %s: %v", c.method, c.path, c.status, c.body, err)
		}
	}
}

// TestSchemas compares the schemas with full examples of the JSON of packages store and
// engine, in both directions.
func TestSchemas(t *testing.T) {
	t.Parallel()
	examples := map[string]map[string]json.RawMessage{}
	for _, file := range []string{"../../store/testdata/wire.json", "../testdata/wire.json"} {
		var all map[string]json.RawMessage
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatal(err)
		}
		for name, v := range all {
			examples[name] = map[string]json.RawMessage{"0": v}
			if list := []json.RawMessage{}; json.Unmarshal(v, &list) == nil {
				examples[name] = map[string]json.RawMessage{}
				for i, v := range list {
					examples[name][strconv.Itoa(i)] = v
				}
			}
		}
	}
	for name, schema := range map[string]string{
		"Operation": "Operation", "Queued": "Operation", "Event": "Event", "Receipts": "Receipt", "Explanations": "Explanation", "Sessions": "Session", "Stats": "Stats",
	} {
		if len(examples[name]) == 0 {
			t.Errorf("there is no example of %s", name)
		}
		shown := map[string]bool{"problem": true} // the API adds it to a receipt
		for i, text := range examples[name] {
			if err := theContract().check("/components/schemas/"+schema, text); err != nil {
				t.Errorf("%s %s: %v", name, i, err)
			}
			var members map[string]any
			if err := json.Unmarshal(text, &members); err != nil {
				t.Fatal(err)
			}
			for m := range members {
				shown[m] = true
			}
		}
		if name == "Queued" || name == "Receipts" || name == "Explanations" { // these have a part of an operation's members
			continue
		}
		for m := range theContract().schemas()[schema].(map[string]any)["properties"].(map[string]any) {
			if !shown[m] {
				t.Errorf("the schema %s has %s, which no example of %s has", schema, m, name)
			}
		}
	}
}
