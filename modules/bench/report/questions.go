package report

import "fmt"

// question is answered by pairs of modes that differ in one thing.
type question struct {
	text  string
	pairs []pair
}

// pair is a mode and the mode that its figures are divided by.
type pair struct{ mode, by string }

func (p pair) String() string { return p.mode + " / " + p.by }

var questions = []question{
	{"What does Protobuf save over JSON?", []pair{
		{"protobuf", "http"}, {"protobuf+h2", "http+h2"}, {"protobuf+unary", "http+unary"}, {"protobuf+h2+unary", "http+h2+unary"},
	}},
	{"What does HTTP/2 save over HTTP/1.1?", []pair{
		{"protobuf+h2", "protobuf"}, {"http+h2", "http"}, {"protobuf+h2+unary", "protobuf+unary"}, {"http+h2+unary", "http+unary"},
	}},
	{"What does gRPC cost on top of HTTP/2?", []pair{{"grpc", "protobuf+h2"}, {"grpc+unary", "protobuf+h2+unary"}}},
	{"What does gRPC save over JSON over HTTP/1.1?", []pair{{"grpc", "http"}, {"grpc+unary", "http+unary"}}},
	{"What do shared calls save?", []pair{
		{"protobuf", "protobuf+unary"}, {"http", "http+unary"}, {"grpc", "grpc+unary"}, {"protobuf+h2", "protobuf+h2+unary"}, {"http+h2", "http+h2+unary"},
	}},
	{"What does a wire cost?", []pair{
		{"protobuf", "direct"}, {"http", "direct"}, {"grpc", "direct"}, {"kafka", "direct"},
		{"protobuf+unary", "direct"}, {"http+unary", "direct"}, {"grpc+unary", "direct"},
	}},
	{"What does Kafka cost and give?", []pair{{"kafka", "protobuf"}, {"kafka", "http"}, {"kafka", "grpc"}}},
}

// inAnswers are the figures whose ratios are shown.
var inAnswers = []string{"accepted", "applied", "ack p50", "ack p99", "applied p50", "applied p99", "CPU", "allocations", "wire"}

const answersNote = "Ratios of modes that took turns: the median of the rounds, with ≈ where the rounds do not agree which is more."

// answer is a question with the ratios that a report has for it.
type answer struct {
	Question string
	Rows     []answerRow
}

// answerRow has a cell for each figure of inAnswers.
type answerRow struct {
	pair
	Cells []string
}

// answers returns the questions that the runs under a load answer.
func (r *Report) answers(load string) []answer {
	var all []answer
	for _, q := range questions {
		a := answer{Question: q.text}
		for _, p := range q.pairs {
			now, by := r.Select(p.mode, load), r.Select(p.by, load)
			if len(now) == 0 || len(by) == 0 {
				continue
			}
			row := answerRow{pair: p}
			for _, name := range inAnswers {
				row.Cells = append(row.Cells, ratioCell(spread(figure(name).ratios(by, now))))
			}
			a.Rows = append(a.Rows, row)
		}
		if len(a.Rows) > 0 {
			all = append(all, a)
		}
	}
	return all
}

func ratioCell(s Spread) string {
	switch {
	case !s.Known():
		return "-"
	case s.Rounds < 2 || direction(one, s) == 0:
		return fmt.Sprintf("≈%.2f", s.Median)
	default:
		return fmt.Sprintf("%.2f", s.Median)
	}
}
