# Ruby's dalli, through its whole interface. Debian's speaks the binary protocol.
require 'dalli'
require 'logger'

Dalli.logger = Logger.new(File::NULL)
SERVERS = ENV['MATRIX_SERVERS'].split(',')
DEAD, UNIX = ENV.values_at('MATRIX_DEAD', 'MATRIX_PATH')
BRIEF_S, UNTIL_GONE_S = 3, 4.1 # as in harness.py
$stdout.sync = true
$count = 0

def key_of(word = 'key') = "#{word}-#{$count += 1}"

def keys_of(number, word = 'key') = Array.new(number) { key_of(word) }

def client(servers = [SERVERS[0]], **options)
  Dalli::Client.new(servers, { socket_timeout: 1, socket_max_failures: 0, down_retry_delay: 60 }.merge(options))
end

def equal(got, wanted)
  raise "got #{got.inspect[0, 150]}, wanted #{wanted.inspect[0, 150]} in #{caller(1..1).first[/rb:\d+/]}" unless got == wanted
end

def yes(value)
  raise "got #{value.inspect} in #{caller(1..1).first[/rb:\d+/]}" unless value
end

# A token, true, or what says no: nil, false, and nought for a replace of what is not there.
def stored?(answer) = answer ? answer != 0 : false

def raises(kind)
  yield
rescue kind => e
  e
else
  raise "no #{kind} in #{caller(1..1).first[/rb:\d+/]}"
end

def check(name)
  yield
  puts "ok #{name}"
rescue Exception => e # rubocop:disable Lint/RescueException
  puts "FAIL #{name}: #{e.class} #{e.message.gsub(/\s+/, ' ')}"
end

if (user = ENV['MATRIX_USER'].to_s) != ''
  check 'right password is served' do
    c, key = client(SERVERS, username: user, password: ENV['MATRIX_PASSWORD']), key_of
    yes c.set(key, 'v')
    equal c.get(key), 'v'
  end
  check 'wrong password is refused' do
    raises(Dalli::DalliError) { client(username: user, password: 'wrong').set(key_of, 'v') }
  end
  check 'no password is refused' do
    raises(Dalli::DalliError) { client.set(key_of, 'v') }
  end
  exit 0
end

check 'objects round trip' do
  c, key = client, key_of
  ['text', 'grüße 世界', '', 42, 1.5, nil, true, :symbol, [1, { a: [nil] }], 1 << 70].each do |value|
    yes c.set(key, value)
    equal c.get(key), value
  end
end

check 'raw bytes keep themselves' do
  c, key = client, key_of
  value = (0..255).map(&:chr).join.b * 1000
  yes c.set(key, value, nil, raw: true)
  equal c.get(key, raw: true), value
end

check 'a miss is nil' do
  c = client
  yes c.set(key_of, 1)
  equal c.get(key_of), nil
end

check 'fetch computes once' do
  c, key = client, key_of
  equal c.fetch(key) { 'made' }, 'made'
  equal c.fetch(key) { 'again' }, 'made'
  nils = client(cache_nils: true)
  key = key_of
  equal nils.fetch(key) { nil }, nil
  equal nils.fetch(key) { 'again' }, nil
end

check 'compressed values come back' do
  c, key = client(compress: true), key_of
  yes c.set(key, 'abc' * 300_000)
  equal c.get(key), 'abc' * 300_000
end

check 'values of many sizes' do
  c, key = client(compress: false, value_max_bytes: 1 << 20), key_of
  [1, 100, 4096, 16_384, 16_385, 100_000, 1_000_000].each do |size|
    yes c.set(key, 'x' * size, nil, raw: true)
    equal c.get(key, raw: true).bytesize, size
  end
end

check 'value over the server limit is refused' do
  c, key = client(compress: false, value_max_bytes: 10 << 20), key_of
  yes c.set(key, 'old')
  raises(Dalli::DalliError) { c.set(key, 'x' * ((1 << 20) + 1), nil, raw: true) || raise(Dalli::DalliError) }
  equal client.get(key), nil
  yes client.set(key, 'new')
end

check 'value over the client limit is not sent' do
  c, key = client(compress: false, value_max_bytes: 1000), key_of
  raises(Dalli::ValueOverMaxSize) { c.set(key, 'x' * 2000) }
end

check 'add and replace ask first' do
  c, key = client, key_of
  equal stored?(c.replace(key, 0)), false
  equal stored?(c.add(key, 1)), true
  equal stored?(c.add(key, 2)), false
  equal stored?(c.replace(key, 3)), true
  equal c.get(key), 3
end

check 'append and prepend extend' do
  c, key = client, key_of
  yes !c.append(key, 'x')
  c.set(key, 'b', nil, raw: true)
  yes c.append(key, 'c') && c.prepend(key, 'a')
  equal c.get(key, raw: true), 'abc'
end

check 'cas with a block' do
  c, key = client, key_of
  equal c.cas(key) { 'never' }, nil
  c.set(key, 1)
  yes(c.cas(key) { |value| value + 1 })
  equal c.get(key), 2
  yes !c.cas(key) { |value| client.set(key, 9) && value + 1 }
  equal c.get(key), 9
  yes(c.cas!(key_of) { |value| value.nil? })
end

check 'cas with tokens' do
  require 'dalli/cas/client'
  c, key = client, key_of
  c.set(key, 1)
  value, token = c.get_cas(key)
  equal value, 1
  yes token.positive?
  yes c.set_cas(key, 2, token)
  yes !c.set_cas(key, 3, token)
  token = c.get_cas(key)[1]
  yes c.replace_cas(key, 4, token)
  equal c.get_multi_cas(key).keys, [key]
  yes !c.delete_cas(key, token)
  yes c.delete_cas(key, c.get_cas(key)[1])
  equal c.get(key), nil
end

check 'counters count and stop at nought' do
  c, key = client, key_of
  equal [c.incr(key), c.decr(key)], [nil, nil]
  c.set(key, '10', nil, raw: true)
  equal [c.incr(key), c.incr(key, 9), c.decr(key), c.decr(key, 100)], [11, 20, 19, 0]
end

check 'counters create with a first value' do
  c, key = client, key_of
  equal [c.incr(key, 1, 100, 5), c.incr(key, 1, 100, 5), c.decr(key_of, 1, 100, 7)], [5, 6, 7]
end

check 'counter wraps at two to the 64' do
  c, key = client, key_of
  c.set(key, ((1 << 64) - 1).to_s, nil, raw: true)
  equal c.incr(key, 2), 1
end

check 'counter of text is refused' do
  c, key = client, key_of
  c.set(key, 'text', nil, raw: true)
  raises(Dalli::DalliError) { c.incr(key) }
end

check 'many keys at once' do
  c = client
  values = keys_of(300, 'm').to_h { |key| [key, "value of #{key}"] }
  values.each { |key, value| c.set(key, value) }
  equal c.get_multi(*values.keys, key_of), values
  seen = {}
  c.get_multi(values.keys) { |key, value| seen[key] = value }
  equal seen, values
end

check 'quiet operations in a block' do
  c, keys = client, keys_of(100)
  c.multi { keys.each { |key| c.set(key, key) } }
  equal c.get_multi(keys).size, 100
  c.multi { keys.first(50).each { |key| c.delete(key) } }
  equal c.get_multi(keys).size, 50
end

check 'expiry, touch and gat' do
  c = client
  short, touched, got = keys_of(3)
  [short, touched, got].each { |key| c.set(key, 'v', BRIEF_S) }
  yes c.touch(touched, 100)
  yes !c.touch(key_of, 100)
  equal [c.gat(got, 100), c.gat(key_of, 100)], ['v', nil]
  sleep UNTIL_GONE_S
  equal [c.get(short), c.get(touched), c.get(got)], [nil, 'v', 'v']
end

check 'expiry over thirty days becomes absolute' do
  c, key = client, key_of
  yes c.set(key, 'v', 40 * 86_400)
  equal c.get(key), 'v'
  yes client(expires_in: 31 * 86_400).set(key, 'w')
  equal c.get(key), 'w'
end

check 'delete tells' do
  c, key = client, key_of
  c.set(key, 'v')
  equal [c.delete(key) ? true : false, c.delete(key) ? true : false], [true, false]
end

check 'namespace keeps keys apart' do
  c, key = client(namespace: 'ns'), key_of
  c.set(key, 'v')
  equal [client.get(key), client.get("ns:#{key}"), c.get_multi(key)], [nil, 'v', { key => 'v' }]
end

check 'long and odd keys' do
  c = client
  ['k' * 300, 'ключ-鍵', 'k' * 250].each do |key|
    yes c.set(key, 'v')
    equal c.get(key), 'v'
  end
  raises(ArgumentError) { c.set('', 'v') }
end

check 'ring of three shares the keys' do
  c, keys = client(SERVERS), keys_of(120, 'several')
  keys.each { |key| c.set(key, key) }
  equal c.get_multi(keys).size, 120
  counts = SERVERS.map { |server| client([server]).get_multi(keys).size }
  equal counts.sum, 120
  yes counts.all?(&:positive?)
end

check 'dead server is failed over' do
  c, keys = client([SERVERS[0], DEAD], failover: true), keys_of(40)
  keys.each { |key| yes c.set(key, 'v') }
  equal c.get_multi(keys).size, 40
end

check 'all servers dead is an error' do
  raises(Dalli::RingError) { client([DEAD]).get('k') }
end

check 'alive asks every server' do
  client(SERVERS).alive!
end

check 'unix socket serves' do
  c, key = client([UNIX]), key_of
  yes c.set(key, 'v')
  equal c.get(key), 'v'
end

check 'stats of every group and their reset' do
  c = client
  c.set(key_of, 'v')
  yes c.stats[SERVERS[0]]['curr_items'].to_i >= 1
  %i[settings items slabs].each { |group| yes c.stats(group)[SERVERS[0]] }
  yes c.reset_stats
end

check 'version is a memcached one' do
  yes client.version[SERVERS[0]].start_with?('1.6.')
end

check 'threads share a client' do
  c = client
  results = Array.new(8) { |i| Thread.new { Array.new(50) { key = key_of("t#{i}"); c.set(key, key) && c.get(key) == key } } }
  yes results.flat_map(&:value).all?
end

check 'reconnects after close' do
  c, key = client, key_of
  c.set(key, 'v')
  c.close
  equal c.get(key), 'v'
end

check 'flush empties' do
  c, key = client, key_of
  c.set(key, 'v')
  yes c.flush # a delay would count from the second server on only
  equal c.get(key), nil
  yes c.set(key, 'new')
end
