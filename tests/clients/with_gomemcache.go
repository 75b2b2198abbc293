// Go's gomemcache, through its whole interface.
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

var (
	servers = strings.Split(os.Getenv("MATRIX_SERVERS"), ",")
	dead    = os.Getenv("MATRIX_DEAD")
	path    = os.Getenv("MATRIX_PATH")
	count   int
	lock    sync.Mutex
)

func key() string {
	lock.Lock()
	defer lock.Unlock()
	count++
	return fmt.Sprintf("key-%d", count)
}

func keys(number int) []string {
	list := make([]string, number)
	for i := range list {
		list[i] = key()
	}
	return list
}

func client(addresses ...string) *memcache.Client {
	if len(addresses) == 0 {
		addresses = servers[:1]
	}
	c := memcache.New(addresses...)
	c.Timeout = 5 * time.Second
	return c
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(got, wanted interface{}) {
	if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", wanted) {
		panic(fmt.Sprintf("got %.150v, wanted %.150v", got, wanted))
	}
}

func value(c *memcache.Client, key string) string {
	item, err := c.Get(key)
	if err != nil {
		return err.Error()
	}
	return string(item.Value)
}

func set(c *memcache.Client, key, value string) {
	must(c.Set(&memcache.Item{Key: key, Value: []byte(value)}))
}

type check struct {
	name string
	run  func()
}

var checks = []check{
	{"values of many sizes round trip", func() {
		c, k := client(), key()
		for _, size := range []int{0, 1, 100, 4096, 16384, 16385, 100000, 1000000} {
			data := bytes.Repeat([]byte("0123456789\r\n\x00\xff"), size/14+1)[:size]
			must(c.Set(&memcache.Item{Key: k, Value: data}))
			item, err := c.Get(k)
			must(err)
			equal(bytes.Equal(item.Value, data), true)
		}
	}},
	{"flags come back", func() {
		c, k := client(), key()
		for _, flags := range []uint32{0, 1, 77, 1<<32 - 1} {
			must(c.Set(&memcache.Item{Key: k, Value: []byte("v"), Flags: flags}))
			item, err := c.Get(k)
			must(err)
			equal(item.Flags, flags)
		}
	}},
	{"a miss is an error of its own", func() {
		_, err := client().Get(key())
		equal(err, memcache.ErrCacheMiss)
	}},
	{"value over the limit is refused", func() {
		c, k := client(), key()
		set(c, k, "old")
		equal(c.Set(&memcache.Item{Key: k, Value: make([]byte, 1<<20+1)}) != nil, true)
		equal(value(client(), k), memcache.ErrCacheMiss.Error())
		set(client(), k, "new")
	}},
	{"add and replace ask first", func() {
		c, k := client(), key()
		equal(c.Replace(&memcache.Item{Key: k, Value: []byte("0")}), memcache.ErrNotStored)
		must(c.Add(&memcache.Item{Key: k, Value: []byte("1")}))
		equal(c.Add(&memcache.Item{Key: k, Value: []byte("2")}), memcache.ErrNotStored)
		must(c.Replace(&memcache.Item{Key: k, Value: []byte("3")}))
		equal(value(c, k), "3")
	}},
	{"cas stores once and tells changed from gone", func() {
		c, k := client(), key()
		set(c, k, "1")
		one, err := c.Get(k)
		must(err)
		other, err := c.Get(k)
		must(err)
		one.Value, other.Value = []byte("2"), []byte("3")
		must(c.CompareAndSwap(one))
		equal(c.CompareAndSwap(other), memcache.ErrCASConflict)
		must(c.Delete(k))
		equal(c.CompareAndSwap(other), memcache.ErrCacheMiss)
	}},
	{"counters count, wrap and stop at nought", func() {
		c, k := client(), key()
		_, err := c.Increment(k, 1)
		equal(err, memcache.ErrCacheMiss)
		_, err = c.Decrement(k, 1)
		equal(err, memcache.ErrCacheMiss)
		set(c, k, "10")
		for _, step := range []struct{ delta, wanted uint64 }{{5, 15}, {^uint64(0) - 15, ^uint64(0)}, {2, 1}} {
			got, err := c.Increment(k, step.delta)
			must(err)
			equal(got, step.wanted)
		}
		got, err := c.Decrement(k, 100)
		must(err)
		equal(got, uint64(0))
	}},
	{"counter of text is refused", func() {
		c, k := client(), key()
		set(c, k, "text")
		_, err := c.Increment(k, 1)
		equal(strings.Contains(err.Error(), "cannot increment or decrement non-numeric value"), true)
		equal(value(c, k), "text")
	}},
	{"many keys at once", func() {
		c, list := client(), keys(500)
		for _, k := range list {
			set(c, k, "value of "+k)
		}
		items, err := c.GetMulti(append([]string{key()}, list...))
		must(err)
		equal(len(items), 500)
		for _, k := range list {
			equal(string(items[k].Value), "value of "+k)
		}
	}},
	{"expiry, touch and absolute times", func() {
		c, list := client(), keys(3)
		for _, k := range list[:2] {
			must(c.Set(&memcache.Item{Key: k, Value: []byte("v"), Expiration: 1}))
		}
		must(c.Touch(list[1], 100))
		equal(c.Touch(key(), 100), memcache.ErrCacheMiss)
		must(c.Set(&memcache.Item{Key: list[2], Value: []byte("v"), Expiration: int32(time.Now().Unix() + 40*86400)}))
		time.Sleep(2100 * time.Millisecond)
		equal([]string{value(c, list[0]), value(c, list[1]), value(c, list[2])}, []string{memcache.ErrCacheMiss.Error(), "v", "v"})
	}},
	{"negative expiry stores nothing that is seen", func() {
		c, k := client(), key()
		must(c.Set(&memcache.Item{Key: k, Value: []byte("v"), Expiration: -1}))
		equal(value(c, k), memcache.ErrCacheMiss.Error())
	}},
	{"delete tells", func() {
		c, k := client(), key()
		set(c, k, "v")
		must(c.Delete(k))
		equal(c.Delete(k), memcache.ErrCacheMiss)
	}},
	{"longest and bad keys", func() {
		c, long := client(), strings.Repeat("k", 250)
		set(c, long, "v")
		equal(value(c, long), "v")
		for _, bad := range []string{strings.Repeat("k", 251), "with space", "line\n"} {
			_, err := c.Get(bad)
			equal(err, memcache.ErrMalformedKey)
		}
	}},
	{"three servers share the keys", func() {
		c, list := client(servers...), keys(120)
		for _, k := range list {
			set(c, k, k)
		}
		items, err := c.GetMulti(list)
		must(err)
		equal(len(items), 120)
		sum := 0
		for _, address := range servers {
			held, err := client(address).GetMulti(list)
			must(err)
			equal(len(held) > 0, true)
			sum += len(held)
		}
		equal(sum, 120)
	}},
	{"server list picks and visits", func() {
		list := new(memcache.ServerList)
		equal(list.SetServers(servers...), nil)
		address, err := list.PickServer("key")
		must(err)
		equal(address.Network(), "tcp")
		visited := 0
		must(list.Each(func(net.Addr) error { visited++; return nil }))
		equal(visited, 3)
	}},
	{"dead server is an error of its keys", func() {
		c, failed := client(servers[0], dead), 0
		for _, k := range keys(40) {
			if c.Set(&memcache.Item{Key: k, Value: []byte("v")}) != nil {
				failed++
			}
		}
		equal(failed > 0 && failed < 40, true)
	}},
	{"unix socket serves", func() {
		c, k := client(path), key()
		set(c, k, "v")
		equal(value(c, k), "v")
	}},
	{"goroutines share a client", func() {
		c := client()
		var group sync.WaitGroup
		wrong := make(chan string, 1000)
		for i := 0; i < 8; i++ {
			group.Add(1)
			go func() {
				defer group.Done()
				for _, k := range keys(100) {
					if c.Set(&memcache.Item{Key: k, Value: []byte(k)}) != nil || value(c, k) != k {
						wrong <- k
					}
				}
			}()
		}
		group.Wait()
		equal(len(wrong), 0)
	}},
	{"flush empties every server", func() {
		c, list := client(servers...), keys(60)
		for _, k := range list {
			set(c, k, k)
		}
		must(c.FlushAll())
		items, err := c.GetMulti(list)
		must(err)
		equal(len(items), 0)
		must(c.DeleteAll())
		set(c, list[0], "new")
		equal(value(c, list[0]), "new")
	}},
}

func run(c check) {
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Printf("FAIL %s: %s\n", c.name, strings.Join(strings.Fields(fmt.Sprint(problem)), " "))
		} else {
			fmt.Printf("ok %s\n", c.name)
		}
	}()
	c.run()
}

func main() {
	for _, c := range checks {
		run(c)
	}
}
