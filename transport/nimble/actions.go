package nimble

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/rouse-dev/rouse/transport"

	"github.com/google/uuid"
)

// arrival is a request whose path, query and signature are valid.
type arrival struct {
	ref    transport.Ref
	header http.Header
	query  url.Values
	body   []byte
	mac    []byte // from the signature; nil if signatures are not verified
}

// action serves one action and returns the answer's body.
type action func(ctx context.Context, p Provider, in arrival) (any, error)

func start(ctx context.Context, p Provider, in arrival) (any, error) {
	token, err := in.token()
	if err != nil {
		return nil, err
	}
	if err := in.decode(&struct{}{}); err != nil {
		return nil, err
	}
	return answer(p.Start(ctx, transport.StartInput{Ref: in.ref, ClientToken: token}))
}

func stop(ctx context.Context, p Provider, in arrival) (any, error) {
	token, err := in.token()
	if err != nil {
		return nil, err
	}
	var body stopBody
	if err := in.decode(&body); err != nil {
		return nil, err
	}
	return answer(p.Stop(ctx, transport.StopInput{Ref: in.ref, ClientToken: token, VolumeRetentionMode: body.VolumeRetentionMode}))
}

func get(ctx context.Context, p Provider, in arrival) (any, error) {
	return answer(p.Get(ctx, in.ref))
}

func remove(ctx context.Context, p Provider, in arrival) (any, error) {
	token, err := in.token()
	if err != nil {
		return nil, err
	}
	return answer(p.Delete(ctx, DeleteInput{Ref: in.ref, ClientToken: token}))
}

func create(ctx context.Context, p Provider, in arrival) (any, error) {
	token, err := in.token()
	if err != nil {
		return nil, err
	}
	var body createBody
	if err := in.decode(&body); err != nil {
		return nil, err
	}
	return answer(p.Create(ctx, CreateInput{
		StudioID:         in.ref.StudioID,
		ClientToken:      token,
		LaunchProfileID:  body.LaunchProfileID,
		EC2InstanceType:  body.EC2InstanceType,
		OwnedBy:          body.OwnedBy,
		StreamingImageID: body.StreamingImageID,
		Tags:             body.Tags,
	}))
}

func list(ctx context.Context, p Provider, in arrival) (any, error) {
	for _, name := range []string{"createdBy", "ownedBy", "nextToken"} {
		if len(in.query[name]) > 1 {
			return nil, invalid("the query names " + name + " more than once")
		}
	}
	input := transport.ListInput{
		StudioID:  in.ref.StudioID,
		CreatedBy: in.query.Get("createdBy"),
		OwnedBy:   in.query.Get("ownedBy"),
		NextToken: in.query.Get("nextToken"),
	}
	// The API model has one text. Some clients repeat the parameter.
	for _, ids := range in.query["sessionIds"] {
		for id := range strings.SplitSeq(ids, ",") {
			if err := transport.CheckID("session id", id); err != nil {
				return nil, err
			}
			input.SessionIDs = append(input.SessionIDs, id)
		}
	}
	page, err := p.List(ctx, input)
	if err != nil {
		return nil, err
	}
	out := make([]session, len(page.Sessions))
	for i, s := range page.Sessions {
		out[i] = toWire(s)
	}
	return listAnswer{Sessions: &out, NextToken: page.NextToken}, nil
}

func answer(s transport.Session, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	out := toWire(s)
	return sessionAnswer{&out}, nil
}

// token returns the client's token. If the client sent none, it derives one from the
// signature. The same request sent again then has no second effect.
func (in arrival) token() (string, error) {
	values := in.header[headerToken]
	switch len(values) {
	case 0:
		if in.mac != nil {
			return uuid.NewSHA1(uuid.Nil, in.mac).String(), nil
		}
		return uuid.NewString(), nil
	case 1:
		return values[0], transport.CheckToken(values[0])
	}
	return "", invalid("the client token is given more than once")
}

// decode reads a body. The body may be absent and may have unknown members.
func (in arrival) decode(into any) error {
	if len(in.body) == 0 {
		return nil
	}
	if looksForeign(in.body) || json.Unmarshal(in.body, into) != nil {
		return invalid("the request body is not a JSON object of this action")
	}
	if !utf8.Valid(in.body) {
		return invalid("the request body is not UTF-8")
	}
	if name, twice := repeated(json.NewDecoder(bytes.NewReader(in.body)), strings.ToLower); twice {
		return invalid(fmt.Sprintf("the request body names %.64q more than once", name))
	}
	return nil
}

// repeated returns a member that an object of d's value names twice. The value must be
// JSON. JSON readers differ on which of the two they use. Names are the same if fold
// makes them equal. Fold applies to the outermost object, whose members encoding/json
// matches in any case, and not to objects inside it.
func repeated(d *json.Decoder, fold func(string) string) (name string, twice bool) {
	first, _ := d.Token()
	open, ok := first.(json.Delim)
	if !ok {
		return "", false
	}
	exact := func(s string) string { return s }
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			token, _ := d.Token()
			name, _ := token.(string)
			if seen[fold(name)] {
				return name, true
			}
			seen[fold(name)] = true
		}
		if name, twice := repeated(d, exact); twice {
			return name, true
		}
	}
	_, _ = d.Token() // the token that closes the value
	return "", false
}
