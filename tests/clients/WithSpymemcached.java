// Java's spymemcached, in text or in binary, through the whole interface MemcachedClientIF.
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;
import net.spy.memcached.AddrUtil;
import net.spy.memcached.CASMutation;
import net.spy.memcached.CASMutator;
import net.spy.memcached.CASResponse;
import net.spy.memcached.CASValue;
import net.spy.memcached.ConnectionFactoryBuilder;
import net.spy.memcached.DefaultHashAlgorithm;
import net.spy.memcached.FailureMode;
import net.spy.memcached.MemcachedClient;
import net.spy.memcached.transcoders.IntegerTranscoder;
import net.spy.memcached.transcoders.LongTranscoder;
import net.spy.memcached.transcoders.SerializingTranscoder;

public class WithSpymemcached {
    static final String[] SERVERS = System.getenv("MATRIX_SERVERS").split(",");
    static final String[] SERVERS6 = System.getenv("MATRIX_SERVERS6").split(",");
    static final String DEAD = System.getenv("MATRIX_DEAD");
    static final int BRIEF_S = 3; // as in harness.py
    static final int UNTIL_GONE_MS = 4100;
    static final int WAIT_MS = 10000; // for one answer of a machine that has much to do
    static final boolean BINARY = System.getenv("MATRIX_PROTOCOL").equals("binary");
    static final Map<String, MemcachedClient> CLIENTS = new ConcurrentHashMap<>();
    static int count;

    interface Check {
        void run() throws Exception;
    }

    static ConnectionFactoryBuilder builder() {
        return new ConnectionFactoryBuilder().setProtocol(BINARY ? ConnectionFactoryBuilder.Protocol.BINARY
                : ConnectionFactoryBuilder.Protocol.TEXT).setOpTimeout(WAIT_MS).setDaemon(true)
                .setFailureMode(FailureMode.Redistribute).setLocatorType(ConnectionFactoryBuilder.Locator.CONSISTENT)
                .setHashAlg(DefaultHashAlgorithm.KETAMA_HASH);
    }

    static MemcachedClient client(String... servers) throws Exception {
        String list = servers.length == 0 ? SERVERS[0] : String.join(" ", servers);
        if (!CLIENTS.containsKey(list)) {
            CLIENTS.put(list, new MemcachedClient(builder().build(), AddrUtil.getAddresses(list)));
        }
        return CLIENTS.get(list);
    }

    static String key() {
        return "key-" + ++count;
    }

    static List<String> keys(int number) {
        List<String> list = new ArrayList<>();
        for (int i = 0; i < number; i++) {
            list.add(key());
        }
        return list;
    }

    static void equal(Object got, Object wanted) {
        if (!Objects.deepEquals(got, wanted)) {
            throw new AssertionError("got " + got + ", wanted " + wanted + " in line "
                    + new Throwable().getStackTrace()[1].getLineNumber());
        }
    }

    static <T> T wait(Future<T> future) throws Exception {
        return future.get(WAIT_MS, TimeUnit.MILLISECONDS);
    }

    static final Map<String, Check> CHECKS = new LinkedHashMap<>();

    static {
        CHECKS.put("values of every type round trip", () -> {
            MemcachedClient c = client();
            String key = key();
            for (Object value : new Object[] {"text", "grüße 世界", "", 42, 1L << 40, 1.5, true, (byte) 7, new byte[] {13, 10, 0, -1},
                new java.util.Date(0), new ArrayList<>(List.of(1, "two"))}) {
                equal(wait(c.set(key, 0, value)), true);
                equal(c.get(key), value);
            }
        });
        CHECKS.put("a miss is null", () -> {
            equal(wait(client().set(key(), 0, "v")), true);
            equal(client().get(key()), null);
            equal(client().gets(key()), null);
        });
        CHECKS.put("transcoders of integers and longs", () -> {
            String key = key();
            equal(wait(client().set(key, 0, 7, new IntegerTranscoder())), true);
            equal(client().get(key, new IntegerTranscoder()), 7);
            equal(wait(client().set(key, 0, 7L, new LongTranscoder())), true);
            equal(wait(client().asyncGet(key, new LongTranscoder())), 7L);
        });
        CHECKS.put("values of many sizes, compressed or not", () -> {
            SerializingTranscoder plain = new SerializingTranscoder();
            plain.setCompressionThreshold(Integer.MAX_VALUE);
            String key = key();
            for (int size : new int[] {1, 100, 4096, 16384, 16385, 100000, 1000000}) {
                String value = "x".repeat(size);
                equal(wait(client().set(key, 0, value, plain)), true);
                equal(client().get(key).equals(value), true);
                equal(wait(client().set(key, 0, value)), true);
                equal(client().get(key).equals(value), true);
            }
        });
        CHECKS.put("value over the limit is refused", () -> {
            SerializingTranscoder plain = new SerializingTranscoder(64 << 20);
            plain.setCompressionThreshold(Integer.MAX_VALUE);
            String key = key();
            wait(client().set(key, 0, "old"));
            MemcachedClient other = new MemcachedClient(builder().build(), AddrUtil.getAddresses(SERVERS[0]));
            boolean stored = true;
            try {
                stored = wait(other.set(key, 0, "x".repeat((1 << 20) + 1), plain));
            } catch (Exception refused) {
                stored = false; // and the connection is given up
            }
            other.shutdown();
            equal(stored, false);
            equal(client().get(key), null);
            equal(wait(client().set(key, 0, "new")), true);
        });
        CHECKS.put("add and replace ask first", () -> {
            String key = key();
            equal(wait(client().replace(key, 0, "0")), false);
            equal(wait(client().add(key, 0, "1")), true);
            equal(wait(client().add(key, 0, "2")), false);
            equal(wait(client().replace(key, 0, "3")), true);
            equal(client().get(key), "3");
        });
        CHECKS.put("append and prepend extend", () -> {
            String key = key();
            equal(wait(client().append(key, "x")), false);
            wait(client().set(key, 0, "b"));
            equal(wait(client().append(key, "c")), true);
            equal(wait(client().prepend(key, "a")), true);
            equal(client().get(key), "abc");
        });
        CHECKS.put("cas stores once and tells changed from gone", () -> {
            String key = key();
            wait(client().set(key, 0, "1"));
            CASValue<Object> token = client().gets(key);
            equal(token.getValue(), "1");
            equal(client().cas(key, token.getCas(), "2"), CASResponse.OK);
            equal(client().cas(key, token.getCas(), "3"), CASResponse.EXISTS);
            equal(wait(client().asyncCAS(key(), token.getCas(), "3")), CASResponse.NOT_FOUND);
            equal(client().cas(key, wait(client().asyncGets(key)).getCas(), 100, "4"), CASResponse.OK);
            equal(client().get(key), "4");
        });
        CHECKS.put("cas mutator retries", () -> {
            String key = key();
            CASMutator<Object> mutator = new CASMutator<>(client(), client().getTranscoder());
            CASMutation<Object> next = current -> current + "+";
            equal(mutator.cas(key, "first", 0, next), "first");
            equal(mutator.cas(key, "first", 0, next), "first+");
        });
        CHECKS.put("counters count and stop at nought", () -> {
            String key = key();
            equal(client().incr(key, 1), -1L);
            equal(client().decr(key, 1), -1L);
            wait(client().set(key, 0, "10"));
            equal(List.of(client().incr(key, 5), client().incr(key, 9L), client().decr(key, 4), client().decr(key, 100)),
                    List.of(15L, 24L, 20L, 0L));
            equal(List.of(wait(client().asyncIncr(key, 3)), wait(client().asyncDecr(key, 1))), List.of(3L, 2L));
        });
        CHECKS.put("counters create with a first value", () -> {
            String key = key();
            equal(List.of(client().incr(key, 1, 5L), client().incr(key, 1, 5L), client().decr(key(), 1, 7L)), List.of(5L, 6L, 7L));
            equal(client().incr(key(), 1, 5L, 100), 5L);
        });
        CHECKS.put("many keys at once", () -> {
            Map<String, Object> values = new HashMap<>();
            for (String key : keys(500)) {
                values.put(key, "value of " + key);
                client().set(key, 0, values.get(key));
            }
            List<String> asked = new ArrayList<>(values.keySet());
            asked.add(key());
            equal(client().getBulk(asked), values);
            equal(client().asyncGetBulk(asked).get(1500, TimeUnit.MILLISECONDS), values);
            equal(client().getBulk(asked.get(0), asked.get(1)).size(), 2);
        });
        CHECKS.put("delete tells and minds the cas", () -> {
            String key = key();
            wait(client().set(key, 0, "v"));
            if (BINARY) {
                equal(wait(client().delete(key, client().gets(key).getCas() + 1)), false);
            }
            equal(wait(client().delete(key)), true);
            equal(wait(client().delete(key)), false);
        });
        CHECKS.put("expiry, touch and get-and-touch", () -> {
            List<String> keys = keys(3);
            for (String key : keys) {
                wait(client().set(key, BRIEF_S, "v"));
            }
            equal(wait(client().touch(keys.get(1), 100)), true);
            if (BINARY) { // in text spymemcached does not have it
                equal(client().getAndTouch(keys.get(2), 100).getValue(), "v");
                equal(client().getAndTouch(key(), 100), null);
            }
            Thread.sleep(UNTIL_GONE_MS);
            equal(client().get(keys.get(0)), null);
            equal(client().get(keys.get(1)), "v");
            equal(client().get(keys.get(2)), BINARY ? "v" : null);
        });
        CHECKS.put("expiry over thirty days is absolute", () -> {
            String far = key();
            String past = key();
            wait(client().set(far, (int) (System.currentTimeMillis() / 1000 + 40 * 86400), "v"));
            wait(client().set(past, 31 * 86400, "v"));
            equal(client().get(far), "v");
            equal(client().get(past), null);
        });
        CHECKS.put("longest and bad keys", () -> {
            String key = "k".repeat(250);
            equal(wait(client().set(key, 0, "v")), true);
            equal(client().get(key), "v");
            for (String bad : BINARY ? List.of("k".repeat(251)) : List.of("k".repeat(251), "with space", "")) {
                try {
                    client().get(bad);
                    throw new AssertionError("taken: " + bad);
                } catch (IllegalArgumentException refused) {
                    // as it should
                }
            }
        });
        CHECKS.put("ring of three shares the keys", () -> {
            MemcachedClient c = client(SERVERS);
            for (int i = 0; i < 1000 && c.getAvailableServers().size() < 3; i++) {
                Thread.sleep(10); // it gives the keys of a server that is not connected yet to another one
            }
            List<String> keys = keys(120);
            for (String key : keys) {
                wait(c.set(key, 0, "v"));
            }
            equal(c.getBulk(keys).size(), 120);
            int sum = 0;
            for (String server : SERVERS) {
                int held = client(server).getBulk(keys).size();
                equal(held > 0, true);
                sum += held;
            }
            equal(sum, 120);
            equal(c.getAvailableServers().size(), 3);
        });
        CHECKS.put("ipv6 address serves", () -> {
            String host = SERVERS6[0].substring(1, SERVERS6[0].indexOf(']'));
            int port = Integer.parseInt(SERVERS6[0].substring(SERVERS6[0].lastIndexOf(':') + 1));
            MemcachedClient c = new MemcachedClient(builder().build(), List.of(new InetSocketAddress(host, port)));
            String key = key();
            equal(wait(c.set(key, 0, "v")), true);
            equal(c.get(key), "v");
            c.shutdown();
        });
        CHECKS.put("dead server's keys are shared out again", () -> {
            MemcachedClient c = client(SERVERS[0], DEAD);
            equal(wait(client().set(key(), 0, "v")), true);
            for (int i = 0; i < 100 && c.getUnavailableServers().isEmpty(); i++) {
                Thread.sleep(20);
            }
            List<String> keys = keys(40);
            int stored = 0;
            for (String key : keys) {
                try {
                    stored += c.set(key, 0, "v").get(500, TimeUnit.MILLISECONDS) ? 1 : 0;
                } catch (Exception unlucky) {
                    // the client looks for another server a few times and may meet the dead one each time
                }
            }
            equal(stored > 25, true);
        });
        CHECKS.put("stats and versions of every server", () -> {
            MemcachedClient c = client(SERVERS);
            equal(c.getStats().size(), 3);
            for (Map<String, String> stats : c.getStats().values()) {
                equal(stats.containsKey("curr_items"), true);
            }
            for (String group : List.of("settings", "items")) {
                equal(c.getStats(group).size(), 3);
            }
            equal(c.getVersions().size(), 3);
            for (String version : c.getVersions().values()) {
                equal(version.startsWith("1.6."), true);
            }
        });
        CHECKS.put("sasl mechanisms are asked for (binary only)", () -> {
            if (BINARY) {
                client().listSaslMechanisms();
            }
            equal(wait(client().set(key(), 0, "v")), true);
        });
        CHECKS.put("queues are waited for", () -> {
            List<String> keys = keys(1000);
            for (String key : keys) {
                client().set(key, 0, key);
            }
            equal(client().waitForQueues(5, TimeUnit.SECONDS), true);
            equal(client().getBulk(keys).size(), 1000);
        });
        CHECKS.put("flush with a delay then at once", () -> {
            String key = key();
            wait(client().set(key, 0, "v"));
            if (!BINARY) { // in binary spymemcached forgets the delay
                equal(wait(client().flush(100)), true);
                equal(client().get(key), "v");
            }
            equal(wait(client().flush()), true);
            equal(client().get(key), null);
            equal(wait(client().set(key, 0, "new")), true);
        });
    }

    public static void main(String[] arguments) {
        System.setProperty("net.spy.log.LoggerImpl", "net.spy.memcached.compat.log.SunLogger");
        Logger.getLogger("net.spy").setLevel(Level.OFF);
        for (Map.Entry<String, Check> check : CHECKS.entrySet()) {
            try {
                check.getValue().run();
                System.out.println("ok " + check.getKey());
            } catch (Throwable problem) {
                System.out.println("FAIL " + check.getKey() + ": " + String.valueOf(problem).replaceAll("\\s+", " "));
            }
        }
        System.exit(0);
    }
}
