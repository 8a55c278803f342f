import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Apache Kafka's Java client with its defaults as a program; see README.md. */
public final class JavaProducer {
    public static void main(String[] args) throws Exception {
        String topic = args[1];
        int partitions = Integer.parseInt(args[2]);
        double rate = Double.parseDouble(args[3]);
        String name = args[4];
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        properties.put("key.serializer", StringSerializer.class.getName());
        properties.put("value.serializer", StringSerializer.class.getName());
        // Not a default: send() blocks for up to a minute where metadata or memory is missing; the rate must go on.
        properties.put("max.block.ms", "2000");
        PrintWriter out = new PrintWriter(new BufferedWriter(new OutputStreamWriter(System.out)));
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties)) {
            long begun = System.nanoTime();
            long sent = 0;
            while (!inputEnded()) {
                for (; sent < (System.nanoTime() - begun) / 1e9 * rate; sent++) {
                    for (int partition = 0; partition < partitions; partition++) {
                        String value = name + "-" + partition + "-" + sent;
                        int target = partition;
                        producer.send(new ProducerRecord<>(topic, partition, null, value), (metadata, error) -> {
                            double nowMs = System.nanoTime() / 1e6;
                            synchronized (out) {
                                if (error == null)
                                    out.printf("ack %d %d %s %.3f%n", target, metadata.offset(), value, nowMs);
                                else
                                    out.printf("err %d %s %s%n", target, value, error.toString().replace('\n', ' '));
                            }
                        });
                    }
                }
                Thread.sleep(2);
                synchronized (out) {
                    out.flush();
                }
            }
            producer.close(Duration.ofSeconds(20));
        }
        synchronized (out) {
            out.flush();
        }
    }

    /** The parent keeps standard input open and silent, and writes one line when it is time to end. */
    private static boolean inputEnded() throws IOException {
        return System.in.available() > 0;
    }
}
