package access_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/rouse-dev/rouse/engine"
	"github.com/rouse-dev/rouse/engine/access"
	"github.com/rouse-dev/rouse/store/bolt"
)

// An operator token for some workstations, checked in front of a handler.
func Example() {
	dir, err := os.MkdirTemp("", "access")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := bolt.Open(filepath.Join(dir, "rouse.db"), bolt.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	tokens := access.NewTokens(s)
	issued, err := tokens.Create(context.Background(), access.TokenRequest{
		Name: "render-bot", Role: access.RoleOperator, Scope: access.Scope{"comp/ws-0*"}, Lifetime: 90 * 24 * time.Hour,
	}, "ada")
	if err != nil {
		log.Fatal(err)
	}
	guard, err := access.NewGuard(access.GuardConfig{Tokens: tokens})
	if err != nil {
		log.Fatal(err)
	}
	handler := guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := access.FromContext(r.Context())
		fmt.Fprintf(w, "%s may start: %v, in ws-1: %v\n", id.Name, id.May(access.ActionOperate), id.Covers(engine.Ref{StudioID: "comp", SessionID: "ws-1"}))
	}))

	for _, secret := range []string{string(issued.Secret), "rouse_guess"} {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8282/", nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
		if w.Code == http.StatusOK {
			fmt.Print(w.Body)
		}
	}
	fmt.Println("printed:", issued.Secret)
	// Output:
	// 200
	// render-bot may start: true, in ws-1: false
	// 401
	// printed: [secret]
}

func ExampleScope() {
	scope := access.Scope{"comp/ws-0*", "light/ws-?"}
	for _, name := range []string{"ws-001", "ws-101"} {
		fmt.Println(name, scope.Has(engine.Ref{StudioID: "comp", SessionID: name}))
	}
	fmt.Println(access.Scope{"comp/ws-[001-150]"}.Validate() != nil)
	// Output:
	// ws-001 true
	// ws-101 false
	// true
}
