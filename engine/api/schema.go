package api

import (
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// document makes the OpenAPI document of all routes, and serves it.
func (s *server) document() {
	doc := s.api.OpenAPI()
	delete(doc.Components.Schemas.Map(), "ErrorModel") // huma's own, which asProblem replaces
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err) // the document is the same in every process: a test has made it
	}
	s.openapi = text
	s.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(s.openapi) // the client may be gone
	})
}

func (s *server) problemResponse() *huma.Response {
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem](), true, "")
	return &huma.Response{Description: "An error", Content: map[string]*huma.MediaType{problemContent: {Schema: schema}}}
}

func aliasSchemas(huma.Registry) {}
