package bolt

import (
	"fmt"
	"github.com/rouse-dev/rouse/store/bolt/internal/disk"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/internal/scale"
)

// TestSyncedBeforeReported reads the system calls of a process that makes a file, writes to
// it, copies and compacts it. It checks the order that a power cut needs. A file gets its
// name only after all of it is synced. The process reports nothing before file and name are
// synced.
func TestSyncedBeforeReported(t *testing.T) {
	t.Parallel()
	needStrace(t)
	path := testPath(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	trace := path + ".trace"
	cmd := exec.CommandContext(t.Context(), "strace", "-f", "-y", "-s", "256", "-o", trace, "-e", "trace="+strings.Join([]string{
		"write", "pwrite64", "ftruncate", "fallocate", "copy_file_range", "sendfile",
		"fsync", "fdatasync", "link", "linkat", "rename", "renameat", "renameat2",
	}, ","), self)
	cmd.Env = append(os.Environ(), childPath+"="+path, fmt.Sprintf("%s=%d 40", childTraced, scale.Seed(t)))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	d := syncedDisk{T: t, db: path, dirty: map[string]bool{}, named: map[string]bool{}}
	for line := range strings.Lines(whole(string(text))) {
		d.call(line)
	}
	t.Logf("%d calls that write, %d that sync; %d names given; %d lines printed", d.wrote, d.synced, d.gave, d.said)
	// There are a new file and a backup, and two replacements of the file: the copy after a
	// failed sync, and the compaction.
	if d.gave < 4 || d.said < 40 {
		t.Error("the process did too little for this test")
	}
}

// whole joins the two halves of calls that another thread interrupted.
func whole(trace string) string {
	begun := map[string]string{}
	var out strings.Builder
	for line := range strings.Lines(trace) {
		pid, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimLeft(rest, " ")
		if head, ok := strings.CutSuffix(strings.TrimSpace(rest), "<unfinished ...>"); ok {
			begun[pid] = head
			continue
		}
		if _, tail, ok := strings.Cut(rest, " resumed>"); ok && strings.HasPrefix(rest, "<... ") {
			rest = begun[pid] + tail
		}
		out.WriteString(rest)
	}
	return out.String()
}

// syncedDisk holds which files and names are on the disk, and which are not yet.
type syncedDisk struct {
	*testing.T
	db    string
	dirty map[string]bool // files written since their last sync
	named map[string]bool // folders with names given since their last sync

	wrote, synced, gave, said int
}

var (
	tracedCall = regexp.MustCompile(`^(\w+)\((.*)\) += (-?\d+)`)
	tracedFile = regexp.MustCompile(`\d+<([^>]*)>`)
	tracedName = regexp.MustCompile(`"([^"]*)"`)
)

// call processes the next system call.
func (d *syncedDisk) call(line string) {
	m := tracedCall.FindStringSubmatch(line)
	if m == nil || strings.HasPrefix(m[3], "-") {
		return
	}
	files := tracedFile.FindAllStringSubmatch(m[2], -1)
	switch name := m[1]; name {
	case "write":
		if strings.HasPrefix(m[2], "1<") {
			d.print(m[2])
			return
		}
		d.write(files[0][1])
	case "pwrite64", "ftruncate", "fallocate", "sendfile":
		d.write(files[0][1])
	case "copy_file_range":
		d.write(files[1][1])
	case "fsync", "fdatasync":
		d.synced++
		delete(d.dirty, files[0][1])
		delete(d.named, files[0][1])
	default: // a name
		names := tracedName.FindAllStringSubmatch(m[2], 2)
		d.name(names[0][1], names[1][1])
	}
}

// write notes that a file differs from what is on disk.
func (d *syncedDisk) write(file string) {
	if strings.HasPrefix(file, d.db) && !strings.HasSuffix(file, disk.LockSuffix) && !strings.HasSuffix(file, disk.SuspectSuffix) {
		d.wrote++
		d.dirty[file] = true
	}
}

// name gives a file another name.
func (d *syncedDisk) name(from, to string) {
	d.gave++
	if d.dirty[from] {
		d.Errorf("%s became %s before it was synced", from, to)
	}
	d.named[filepath.Dir(to)] = true
}

// print checks a line that the process prints. It may report only what is on disk.
func (d *syncedDisk) print(line string) {
	d.said++
	if len(d.named) > 0 {
		d.Errorf("%s was printed, and the name of a file is not synced: %v", line, d.named)
	}
	for _, file := range []string{d.db, d.db + ".copy"} {
		if d.dirty[file] {
			d.Errorf("%s was printed, and %s is not synced", line, file)
		}
	}
}
