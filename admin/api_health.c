/* /livez, /readyz and /metrics: what machines ask. None of them waits for a worker. */
#include "admin/request_priv.h"
#include "metrics/prometheus.h"

void api_livez(struct request *request, struct reply *reply)
{
    bool verbose = request_has(request, PARAM_verbose);
    reply_text(reply, 200, verbose ? "[+] admin: ok\nok\n" : "ok\n");
}

void api_readyz(struct request *request, struct reply *reply)
{
    bool accepting = net_accepting(request->parts->net);
    bool verbose = request_has(request, PARAM_verbose);
    if (accepting)
        reply_text(reply, 200, verbose ? "[+] admin: ok\n[+] listener: accepting\nok\n" : "ok\n");
    else
        reply_text(reply, 503,
                   verbose ? "[+] admin: ok\n[-] listener: not accepting\nnot accepting\n"
                           : "not accepting\n");
}

void api_metrics(struct request *request, struct reply *reply)
{
    int open = request_weight(request->accept, "application/openmetrics-text");
    int text = request_weight(request->accept, "text/plain");
    struct prometheus_options options = {.openmetrics = open > 0 && open >= text,
                                         .version = protocol_version()};
    reply->status = 200;
    reply->type = options.openmetrics ? PROMETHEUS_TYPE_OPENMETRICS : PROMETHEUS_TYPE_TEXT;
    prometheus_render(request->parts->metrics, &options, &reply->body);
    if (reply->body.failed)
        reply_problem(reply, 503, "out of memory");
}
