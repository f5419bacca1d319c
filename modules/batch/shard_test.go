package batch

import (
	"fmt"
	"testing"
)

// The shard of an order must be the same in every process and release.
func TestShardIsStable(t *testing.T) {
	for _, test := range []struct {
		orderID    string
		two, seven int
		thousand   int
	}{
		{"", 1, 2, 261},
		{"a", 0, 5, 220},
		{"b", 1, 6, 77},
		{"c", 0, 1, 458},
		{"order-1", 1, 1, 949},
		{"order-2", 0, 0, 92},
		{"заказ", 1, 3, 439},
		{"4d1f5b5a-6a7b-4f61-8a0d-0f0a7f1e2d3c", 1, 3, 727},
	} {
		two, seven, thousand := shardOf(test.orderID, 2), shardOf(test.orderID, 7), shardOf(test.orderID, 1000)
		if two != test.two || seven != test.seven || thousand != test.thousand {
			t.Errorf("shardOf(%q, 2, 7 and 1000) = %d, %d, %d, want %d, %d, %d",
				test.orderID, two, seven, thousand, test.two, test.seven, test.thousand)
		}
		if one := shardOf(test.orderID, 1); one != 0 {
			t.Errorf("shardOf(%q, 1) = %d, want 0", test.orderID, one)
		}
	}
}

func TestShardsAreEven(t *testing.T) {
	for _, n := range []int{2, 3, 8} {
		counts := make([]int, n)
		for i := range 10000 {
			counts[shardOf(fmt.Sprintf("order-%06d", i), n)]++
		}
		for shard, count := range counts {
			if even := 10000 / n; count < even*9/10 || count > even*11/10 {
				t.Errorf("%d of 10000 orders are in shard %d of %d, want about %d", count, shard, n, even)
			}
		}
	}
}
