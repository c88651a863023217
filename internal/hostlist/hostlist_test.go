package hostlist_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rouse-dev/rouse/internal/hostlist"
)

// TestParse has what scontrol of Slurm 22.05.8 prints for these lists.
func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"node[01-03,15]":         "node01 node02 node03 node15",
		"node[8-11]":             "node8 node9 node10 node11",
		"node[08-11]":            "node08 node09 node10 node11",
		"b04-[09-10]":            "b04-09 b04-10",
		"rack[1-2]node[01-02]":   "rack1node01 rack1node02 rack2node01 rack2node02",
		"n[001-3]":               "n001 n002 n003",
		"n[009-011]":             "n009 n010 n011",
		"n1,n1":                  "n1 n1",
		"ws-042":                 "ws-042",
		"a[1-2],b,c[3]":          "a1 a2 b c3",
		"[1-2]":                  "1 2",
		"n[000000000000000007]":  "n000000000000000007",
		"n[1-2][3-4]":            "n13 n14 n23 n24",
		"ws 1":                   "ws 1",
		"größe[1-2]":             "größe1 größe2",
		"n[999999999999999999]":  "n999999999999999999",
		"i-0abc,i-0def":          "i-0abc i-0def",
		"n[10-10]":               "n10",
		"n[1-3,2]":               "n1 n2 n3 n2",
		"a.example.com,b[1].x,c": "",
	} {
		got, err := hostlist.Parse(text)
		if want == "" {
			if err == nil {
				t.Errorf("%q: %q, want an error", text, got)
			}
			continue
		}
		if err != nil || !slices.Equal(got, strings.Split(want, " ")) && text != "ws 1" {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}

// TestParseRefuses checks that each error names the list, the byte and the next step.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	many := "write several lists of at most 65536 names"
	numbers := "write numbers and ranges, as in n[1-3,7]"
	each := "write each of these names, with commas between them"
	for text, want := range map[string]string{
		"":                      `no name at byte 0; write a name, or leave out the comma`,
		"n1,":                   `no name at byte 3; write a name, or leave out the comma`,
		",n1":                   `no name at byte 0; write a name, or leave out the comma`,
		"n1,,n2":                `no name at byte 3; write a name, or leave out the comma`,
		"n[3-1]":                `"3-1" counts down at byte 2; write 1-3`,
		"n[1,9-08]":             `"9-08" counts down at byte 4; write 08-9`,
		"x[a]":                  `"a" is not a number at byte 2; ` + numbers,
		"x[1a]":                 `"1a" is not a number at byte 3; ` + numbers,
		"x[1-2-3]":              `"2-3" is not a number at byte 5; ` + numbers,
		"x[]":                   `no number at byte 2; ` + numbers,
		"x[1,]":                 `no number at byte 4; ` + numbers,
		"x[-1]":                 `no number at byte 2; ` + numbers,
		"x[1-]":                 `no number at byte 4; ` + numbers,
		"x[ 1]":                 `" 1" is not a number at byte 2; ` + numbers,
		"x[[1]]":                `"[1" is not a number at byte 2; ` + numbers,
		"n[1-70000]":            `too many names at byte 2; ` + many,
		"n[1-65537]":            `too many names at byte 2; ` + many,
		"n[1-65535,1-2]":        `too many names at byte 10; ` + many,
		"n[0-255][0-256]":       `too many names at byte 0; ` + many,
		"a,n[1-65536]":          `too many names at byte 2; ` + many,
		"n[1-99999999][1-9999]": `too many names at byte 2; ` + many,
		"n[0-999999999999999999,0-999999999999999999]": `too many names at byte 2; ` + many,
		"n[1000000000000000000]":                       `a number of 19 digits at byte 2; write at most 18 digits`,
		"n[1-2]-ib":                                    `"-ib" behind the last bracket at byte 6; ` + each,
		"n[1-3]:2":                                     `":2" behind the last bracket at byte 6; ` + each,
		"n[1-3]*,m":                                    `"*" behind the last bracket at byte 6; ` + each,
		"n[1-":                                         `"[" without a "]" at byte 1; write a bracket as in n[1-3], and quote it for the shell`,
		"n1]":                                          `"]" without a "[" at byte 2; write a bracket as in n[1-3]`,
		"n[1]]":                                        `"]" without a "[" at byte 4; write a bracket as in n[1-3]`,
	} {
		got, err := hostlist.Parse(text)
		var e *hostlist.Error
		if !errors.As(err, &e) {
			t.Errorf("%q: %q, %v", text, got, err)
			continue
		}
		if want := fmt.Sprintf("host list %q: %s", text, want); err.Error() != want {
			t.Errorf("%q:\n%v, want\n%s", text, err, want)
		}
	}
	long := strings.Repeat("x", 300)
	for text, want := range map[string]string{
		long:                            `host list "` + long[:80] + `"…: a name of more than 255 bytes at byte 0; write a shorter name`,
		strings.Repeat("[1]", 256):      `host list "` + strings.Repeat("[1]", 27)[:80] + `"…: a name of more than 255 bytes at byte 0; write a shorter name`,
		long[:240] + "[1000000000-1]":   `host list "` + long[:80] + `"…: "1000000000-1" counts down at byte 241; write 1-1000000000`,
		"a," + long[:254] + "[9,10,11]": `host list "a,` + long[:78] + `"…: a name of more than 255 bytes at byte 2; write a shorter name`,
	} {
		if _, err := hostlist.Parse(text); err == nil || err.Error() != want {
			t.Errorf("%v, want\n%s", err, want)
		}
	}
}

// TestMost: the largest list is taken, and a larger one costs no memory.
func TestMost(t *testing.T) {
	for _, text := range []string{"n[1-65536]", "n[0-255][0-255]", "n[0],m[1-65535]"} {
		if got, err := hostlist.Parse(text); err != nil || len(got) != hostlist.MaxNames {
			t.Errorf("%q: %d names, %v", text, len(got), err)
		}
	}
	const product = "n[0-65535][0-65535][0-65535][0-65535]" // 2^64 names
	refused := testing.AllocsPerRun(10, func() {
		if _, err := hostlist.Parse(product); err == nil {
			t.Errorf("%q is taken", product)
		}
	})
	if refused > 100 {
		t.Errorf("a list that is refused makes %v allocations", refused)
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]string{
		"":                         "",
		"n01 n02 n10":              "n[01-02,10]",
		"n9 n10":                   "n[9-10]",
		"n09 n010":                 "n[09,010]",
		"n1 n1":                    "n[1,1]",
		"n1":                       "n1",
		"n3 n2 n1":                 "n[3,2,1]",
		"a1 b1 a2":                 "a1,b1,a2",
		"a1-ib a2-ib":              "a1-ib,a2-ib",
		"1 2 3":                    "[1-3]",
		"b04-09 b04-10":            "b04-[09-10]",
		"n998 n999 n1000":          "n[998-1000]",
		"n099 n100 n101 m":         "n[099-101],m",
		"n00 n0":                   "n[00,0]",
		"n1000000000000000000":     "n1000000000000000000",
		"n999999999999999999 n1":   "n[999999999999999999,1]",
		"n1999999999999999999 n20": "n1999999999999999999,n20",
	} {
		if got := hostlist.Fold(strings.Fields(names)); got != want {
			t.Errorf("Fold(%s) = %q, want %q", names, got, want)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	want := strings.Fields("1 2 10 a a0 a00 a9 a09 a10 b04-09 b04-10 ws-9 ws-10")
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, hostlist.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestRoundTrip: Parse returns what Fold was given.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.OneOf(
			rapid.StringMatching(`(n|b04-|)[0-9]{1,3}`),
			rapid.StringMatching(`[a-z0-9._-]{0,4}[0-9]{17,20}`),
			rapid.StringMatching(`[^\[\],]{1,9}`),
		), 1, 40).Draw(t, "names")
		text := hostlist.Fold(names)
		if got, err := hostlist.Parse(text); err != nil || !slices.Equal(got, names) {
			t.Fatalf("%q folds to %q, which is %q, %v", names, text, got, err)
		}
	})
}

// FuzzParse: a list is refused with one line that names a byte in it, or it stands for at
// most MaxNames names. These fold to a list of the same names.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"node[01-03,15]", "rack[1-2]node[01-02]", "n1,n1", "n[3-1]", "x[a]", "n[1-70000]", "n[1-2]-ib", "n[1-3]:2", "n[1-", "", "[0-9][0-9]", "\x1b[1]", "n[000000000000000001-3]", "\xff[1]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		names, err := hostlist.Parse(text)
		if err != nil {
			var e *hostlist.Error
			if !errors.As(err, &e) || e.Byte < 0 || e.Byte > len(text) || e.Text != text || e.Next == "" || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if len(names) == 0 || len(names) > hostlist.MaxNames {
			t.Fatalf("%q is %d names", text, len(names))
		}
		if again, err := hostlist.Parse(hostlist.Fold(names)); err != nil || !slices.Equal(again, names) {
			t.Fatalf("%q folds to %q: %v", text, hostlist.Fold(names), err)
		}
	})
}
