package settings_test

import (
	"reflect"
	"testing"

	"github.com/rouse-dev/rouse/settings"
)

// FuzzParse checks that no text makes Parse panic. A refusal has a reason without line
// breaks. An accepted text gives the same result when it is parsed again.
func FuzzParse(f *testing.F) {
	f.Add(documented(f))
	for _, text := range []string{
		ec2, exec + "start = ['a']\nstatus = ['b']\n", libvirt, wol + shelf, "[[studio]]\n", "[studio.lab.a]\n[studio]\nlab.b = [{ c = 1 }]\n",
		"studio.lab = { transport = 'ec2', tags = { a = 'b', \"\\u0000\" = 'c' } }\nlane.lab.rate = inf\n", "a = '''\n'''\nb = 1979-05-27\n", "\xff", "[lane.'*']\nrate = -0.0\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := settings.Parse("x.toml", []byte(text))
		again, err2 := settings.Parse("x.toml", []byte(text))
		if (s == nil) == (err == nil) {
			t.Fatalf("%+v and %v", s, err)
		}
		if err != nil {
			if err.Error() == "" || err2 == nil || err.Error() != err2.Error() {
				t.Fatalf("%q, and then %q", err, err2)
			}
			return
		}
		if !reflect.DeepEqual(s, again) {
			t.Fatalf("%+v, and then %+v", s, again)
		}
		for _, one := range s.Studios {
			if _, ok := s.Find(one.Pattern); !ok || one.Where == "" {
				t.Fatalf("%+v", one)
			}
		}
		_ = s.Engine().Lane("lab")
	})
}
