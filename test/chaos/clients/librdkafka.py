"""librdkafka with its defaults as a program; see README.md."""
import select
import sys
import time

from confluent_kafka import KafkaException, Producer

bootstrap, topic, partitions, rate, name = sys.argv[1:6]
partitions, rate = int(partitions), float(rate)
producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
out = sys.stdout


def delivered(error, message):
    value = message.value().decode()
    if error is None:
        out.write(f"ack {message.partition()} {message.offset()} {value} {time.monotonic() * 1000:.3f}\n")
    else:
        out.write(f"err {message.partition()} {value} {error.str()}\n")


begun = time.monotonic()
sent = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    while sent < (time.monotonic() - begun) * rate:
        for partition in range(partitions):
            value = f"{name}-{partition}-{sent}"
            try:
                producer.produce(topic, value.encode(), partition=partition, on_delivery=delivered)
            except (BufferError, KafkaException) as error:
                out.write(f"err {partition} {value} {error}\n")
        sent += 1
    producer.poll(0.002)
    out.flush()
producer.flush(20)
out.flush()
