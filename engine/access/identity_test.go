package access_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
)

func TestRoleText(t *testing.T) {
	t.Parallel()
	for role, text := range map[access.Role]string{
		access.RoleViewer:   "viewer",
		access.RoleOperator: "operator",
		access.RoleAdmin:    "admin",
	} {
		got, err := json.Marshal(role)
		if err != nil || string(got) != `"`+text+`"` {
			t.Errorf("Marshal(%v) = %s, %v", role, got, err)
		}
		var back access.Role
		if err := json.Unmarshal(got, &back); err != nil || back != role {
			t.Errorf("Unmarshal(%s) = %v, %v", got, back, err)
		}
		if role.String() != text {
			t.Errorf("String = %q, want %q", role, text)
		}
	}
	for _, role := range []access.Role{0, access.RoleAdmin + 1, 255} {
		if got, err := role.MarshalText(); err == nil {
			t.Errorf("MarshalText of %v = %s, want an error", role, got)
		}
	}
	for _, text := range []string{"", "none", "Admin", "root", "viewer ", "Role(4)"} {
		role := access.RoleViewer
		err := role.UnmarshalText([]byte(text))
		if err == nil || role != access.RoleViewer {
			t.Errorf("UnmarshalText(%q) = %v, %v", text, role, err)
		} else if !strings.Contains(err.Error(), "use viewer, operator or admin") {
			t.Errorf("UnmarshalText(%q): %v names no role", text, err)
		}
	}
}

func TestMay(t *testing.T) {
	t.Parallel()
	const read, operate, manage = access.ActionRead, access.ActionOperate, access.ActionManage
	for role, may := range map[access.Role][]access.Action{
		0:                    nil,
		access.RoleViewer:    {read},
		access.RoleOperator:  {read, operate},
		access.RoleAdmin:     {read, operate, manage},
		access.RoleAdmin + 1: nil,
		255:                  nil,
	} {
		want := map[access.Action]bool{}
		for _, a := range may {
			want[a] = true
		}
		for a := range access.Action(6) {
			if got := (access.Identity{Role: role}).May(a); got != want[a] {
				t.Errorf("role %v may do action %d: %v, want %v", role, a, got, want[a])
			}
		}
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scope access.Scope
		has   string // studio/session, with spaces between them
		not   string
	}{
		{nil, "comp/ws-1 a/b", ""},
		{access.Scope{"comp/ws-0*"}, "comp/ws-0 comp/ws-001", "comp/ws-1 comp2/ws-0 xcomp/ws-0 ws-0/comp comp/xws-0"},
		{access.Scope{"comp/ws-?"}, "comp/ws-1 comp/ws-*", "comp/ws- comp/ws-12"},
		{access.Scope{"*/render"}, "comp/render a/render", "comp/renderer"},
		{access.Scope{"*/*"}, "comp/ws-1 a/b", ""},
		{access.Scope{"a/1", "b/*"}, "a/1 b/1 b/2", "a/2 c/1"},
		{access.Scope{"comp/a-*-z"}, "comp/a--z comp/a-b-c-z", "comp/a-z comp/a-b"},
		// What Validate refuses must not widen a scope.
		{access.Scope{""}, "", "comp/ws-1"},
		{access.Scope{"comp"}, "", "comp/ws-1"},
		{access.Scope{"comp/ws-[0-9]"}, "", "comp/ws-1 comp/ws-[0-9]"},
		{access.Scope{`comp/ws-\*`}, "", "comp/ws-* comp/ws-1"},
	} {
		id := access.Identity{Scope: c.scope}
		for _, want := range []bool{true, false} {
			names := c.has
			if !want {
				names = c.not
			}
			for name := range strings.FieldsSeq(names) {
				studio, session, _ := strings.Cut(name, "/")
				if got := id.Covers(engine.Ref{StudioID: studio, SessionID: session}); got != want {
					t.Errorf("scope %q covers %s: %v, want %v", c.scope, name, got, want)
				}
			}
		}
	}
}

func TestScopeValidate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("s", 128)
	for _, c := range []struct {
		scope access.Scope
		want  string // in the error; "": none
	}{
		{nil, ""},
		{access.Scope{"comp/ws-0*", "*/*", "a?/" + long, "a:b/c]"}, ""},
		{access.Scope{long + "/" + long}, ""},
		{access.Scope{""}, "is empty"},
		{access.Scope{"comp/ws-1", "comp"}, `"comp" has no slash: write STUDIO/SESSION; "comp/*"`},
		{access.Scope{"/ws"}, "empty half"},
		{access.Scope{"comp/"}, "empty half"},
		{access.Scope{"comp/ws/1"}, "more than one slash"},
		{access.Scope{"comp/ws-[001-150]"}, `character '[' at byte 8`},
		{access.Scope{`comp/ws-\*`}, `character '\\' at byte 8`},
		{access.Scope{"comp/ws 1"}, `character ' ' at byte 7`},
		{access.Scope{"comp/wé"}, `character 'é' at byte 6`},
		{access.Scope{long + "/" + long + "s"}, "has 258 bytes: at most 257"},
		{slicesRepeat(long+"/*", 8), "has 1040 bytes: at most 1024"},
	} {
		err := c.scope.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("Validate(%.80q) = %v, want %q", c.scope, err, c.want)
		}
	}
}

func slicesRepeat(s string, n int) (out access.Scope) {
	for range n {
		out = append(out, s)
	}
	return out
}

func TestContext(t *testing.T) {
	t.Parallel()
	if id, ok := access.FromContext(context.Background()); ok {
		t.Errorf("FromContext of an empty context = %v", id)
	}
	want := access.Identity{Name: "maya", Role: access.RoleOperator, Scope: access.Scope{"comp/*"}}
	got, ok := access.FromContext(access.NewContext(context.Background(), want))
	if !ok || got.Name != want.Name || got.Role != want.Role || got.Scope.String() != "comp/*" {
		t.Errorf("FromContext = %v, %v, want %v", got, ok, want)
	}
}
