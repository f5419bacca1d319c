package flags

import (
	"slices"
	"strings"
)

// Misspelling is a variable whose name resembles that of a setting.
type Misspelling struct{ Variable, Meant string }

// Misspelt returns the variables of an environment, in the form of os.Environ, that are
// one or two letters away from a known one. A variable whose beginning is not that of a
// known one must be longer, because other programs have variables too. Empty variables count as unset.
func Misspelt(environ, known []string) []Misspelling {
	var prefixes []string
	for _, name := range known {
		prefix, _, _ := strings.Cut(name, "_")
		prefixes = append(prefixes, prefix+"_")
	}
	var found []Misspelling
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if value == "" || slices.Contains(known, name) {
			continue
		}
		most := 0
		switch {
		case slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }):
			most = min(2, len(name)/4)
		case len(name) >= 7:
			most = min(2, len(name)/6)
		}
		if meant := Nearest(name, known, most); meant != "" {
			found = append(found, Misspelling{name, meant})
		}
	}
	slices.SortFunc(found, func(a, b Misspelling) int { return strings.Compare(a.Variable, b.Variable) })
	return found
}

// Nearest returns the word with the smallest distance to a misspelled one, or nothing if
// that distance exceeds most.
func Nearest(misspelt string, words []string, most int) (nearest string) {
	for _, word := range words {
		if d := distance(misspelt, word); d <= most {
			nearest, most = word, d-1
		}
	}
	return nearest
}

// distance returns the number of letters to insert, remove, replace or swap with their
// neighbor to get from one word to the other.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
