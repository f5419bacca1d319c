package source

import "reflect"

// keysOf returns the keys of a type and of those below it.
func keysOf(t reflect.Type) (keys []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		keys = append(keys, t.Field(i).Tag.Get("yaml"))
		keys = append(keys, keysOf(t.Field(i).Type)...)
	}
	return keys
}

// nearest returns the name that needs the fewest changes to become key, or nothing if
// even that one needs many. The key itself, which is known at another place, is no answer.
func nearest(key string, names []string) string {
	best, fewest := "", 1+len(key)/3
	for _, name := range names {
		if d := distance(key, name); d > 0 && d <= fewest && (best == "" || d < fewest) {
			best, fewest = name, d
		}
	}
	return best
}

// distance returns the number of bytes to insert, remove or replace to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
