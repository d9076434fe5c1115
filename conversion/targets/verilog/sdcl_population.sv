// A population: sums what its synapses deliver, and at the end of a step sweeps over its neurons,
// one a cycle, sending a spike event for each that fires and then the end of the step.
//
// Sums, currents and membranes stand in memories with one read and one write port. A weight arrives
// one cycle after its pair, the sum is written two cycles after; within an event every pair names
// another neuron, and between events a cycle passes, so no sum is read before it is written.
module sdcl_population #(
    parameter CHANNELS = 1, ROWS = 1, COLUMNS = 1,
    parameter C_BITS = 1, Y_BITS = 1, X_BITS = 1,
    parameter NEURONS = 1, N_BITS = 1,
    parameter WEIGHT_BITS = 8, COUNT_BITS = 1, COUNTS = 0,
    parameter SUM_BITS = 16, SHIFT = 0, CONVOLUTION = 0,
    parameter SLOTS = 1, DELAY_BITS = 1, S_BITS = 1,  // axonal delays: one slot a step
    parameter RECURRENT = 0, R_BITS = 1,
    parameter CURRENT_BITS = 24, CURRENT_KEEP = 0, VOLTAGE_KEEP = 4096, THRESHOLD = 0
) (
    input  logic                          clock,
    input  logic                          reset,
    output logic                          accepting,
    input  logic                          step_end,
    input  logic                          pair_valid,
    input  logic [N_BITS-1:0]             pair_neuron,
    input  logic [COUNT_BITS-1:0]         pair_count,
    input  logic signed [WEIGHT_BITS-1:0] weight,             // one cycle after the pair
    input  logic [DELAY_BITS-1:0]         delay,              // likewise
    output logic [R_BITS-1:0]             recurrent_address,
    input  logic signed [WEIGHT_BITS-1:0] recurrent_weight,   // one cycle later
    output logic                          bias_enable,
    output logic [C_BITS-1:0]             bias_address,
    input  logic signed [31:0]            bias,               // one cycle later, shifted by 6 bits
    output logic                          out_valid,
    input  logic                          out_ready,
    output logic                          out_last,
    output logic [C_BITS-1:0]             out_c,
    output logic [Y_BITS-1:0]             out_y,
    output logic [X_BITS-1:0]             out_x
);
    localparam [2:0] CLEAR = 3'd0, RUN = 3'd1, DRAIN = 3'd2, SWEEP = 3'd3, TOKEN = 3'd4,
                     FETCH = 3'd5, FEED = 3'd6;
    localparam DEPTH = SLOTS * NEURONS;

    logic [2:0] state;

    // Memories.
    logic signed [SUM_BITS-1:0] sums [0:DEPTH-1];
    logic signed [23:0] voltages [0:NEURONS-1];
    logic signed [SUM_BITS-1:0] sum_read, sum_data;
    logic signed [23:0] voltage_read, voltage_data, next_voltage;
    logic signed [CURRENT_BITS-1:0] current_read, next_current;
    logic sum_enable, sum_write, state_enable, state_write;
    logic [S_BITS-1:0] sum_from, sum_to;
    logic [N_BITS-1:0] state_from, state_to;

    always_ff @(posedge clock) begin
        if (sum_write) sums[sum_to] <= sum_data;
        if (sum_enable) sum_read <= sums[sum_from];
    end
    always_ff @(posedge clock) begin
        if (state_write) voltages[state_to] <= voltage_data;
        if (state_enable) voltage_read <= voltages[state_from];
    end
    generate
        if (CURRENT_KEEP != 0) begin : slow
            logic signed [CURRENT_BITS-1:0] currents [0:NEURONS-1];
            always_ff @(posedge clock) begin
                if (state_write) currents[state_to] <= (state == CLEAR) ? '0 : next_current;
                if (state_enable) current_read <= currents[state_from];
            end
        end else begin : fast
            assign current_read = '0;
        end
    endgenerate

    // Counters of the clearing and the sweep.
    logic [31:0] at;
    logic [N_BITS-1:0] at_neuron, seen_neuron;
    logic [C_BITS-1:0] at_c, seen_c;
    logic [Y_BITS-1:0] at_y, seen_y;
    logic [X_BITS-1:0] at_x, seen_x;
    logic seen_valid, reading, advance, spike;

    assign at_neuron = at[N_BITS-1:0];

    // Which slot of the sums arrives in this step.
    logic [31:0] now;
    logic [S_BITS-1:0] now_base;
    logic [31:0] now_first;
    assign now_first = now * NEURONS;
    assign now_base = now_first[S_BITS-1:0];

    // Recurrence: the neurons that fired, and the walk over what they feed.
    logic [N_BITS-1:0] fed_from, fed_to;
    logic [31:0] fired, fed, fed_address;
    generate
        if (RECURRENT != 0) begin : feedback
            logic [N_BITS-1:0] list [0:NEURONS-1];
            always_ff @(posedge clock) begin
                if (state == SWEEP && seen_valid && advance && spike) begin
                    list[fired[N_BITS-1:0]] <= seen_neuron;
                end
                fed_from <= list[fed[N_BITS-1:0]];
            end
        end else begin : forward
            assign fed_from = '0;
        end
    endgenerate
    assign fed_address = {{(32 - N_BITS) {1'b0}}, fed_from} * NEURONS
                       + {{(32 - N_BITS) {1'b0}}, fed_to};
    assign recurrent_address = fed_address[R_BITS-1:0];

    // Accumulation: a pair, its weight one cycle later, the sum written one more later.
    logic first_valid, first_fed, second_valid;
    logic [N_BITS-1:0] first_neuron;
    logic [COUNT_BITS-1:0] first_count;
    logic [31:0] slot, first_place;
    logic [S_BITS-1:0] second_place;
    logic signed [31:0] wide_weight, wide_recurrent, times;
    logic signed [31:0] first_value;
    logic signed [SUM_BITS-1:0] second_value;

    assign wide_weight = {{(32 - WEIGHT_BITS) {weight[WEIGHT_BITS-1]}}, weight};
    assign wide_recurrent = {{(32 - WEIGHT_BITS) {recurrent_weight[WEIGHT_BITS-1]}}, recurrent_weight};
    assign times = {{(32 - COUNT_BITS) {1'b0}}, first_count};
    assign first_value = first_fed ? wide_recurrent : (COUNTS != 0) ? wide_weight * times : wide_weight;
    always_comb begin
        slot = now;
        if (SLOTS > 1 && !first_fed) begin
            slot = now + {{(32 - DELAY_BITS) {1'b0}}, delay};
            if (slot >= SLOTS) slot = slot - SLOTS;
        end
    end
    assign first_place = slot * NEURONS + {{(32 - N_BITS) {1'b0}}, first_neuron};

    sdcl_neuron #(
        .SUM_BITS(SUM_BITS), .SHIFT(SHIFT), .CONVOLUTION(CONVOLUTION), .CURRENT_BITS(CURRENT_BITS),
        .CURRENT_KEEP(CURRENT_KEEP), .VOLTAGE_KEEP(VOLTAGE_KEEP), .THRESHOLD(THRESHOLD)
    ) neuron (
        .sum(sum_read), .bias(bias), .current(current_read), .voltage(voltage_read),
        .next_current(next_current), .next_voltage(next_voltage), .spike(spike)
    );

    assign reading = state == SWEEP && at != NEURONS;
    assign advance = !(seen_valid && spike && !out_ready);
    assign accepting = state == RUN && !reset;
    assign out_last = state == TOKEN;
    assign out_valid = out_last || (state == SWEEP && seen_valid && spike);
    assign out_c = seen_c;
    assign out_y = seen_y;
    assign out_x = seen_x;
    assign bias_enable = reading && advance;
    assign bias_address = at_c;

    assign sum_enable = first_valid || (reading && advance);
    assign sum_from = first_valid ? first_place[S_BITS-1:0]
                    : now_base + {{(S_BITS - N_BITS) {1'b0}}, at_neuron};
    assign sum_write = state == CLEAR || second_valid || (state == SWEEP && seen_valid && advance);
    assign sum_to = (state == CLEAR) ? at[S_BITS-1:0]
                  : second_valid ? second_place
                  : now_base + {{(S_BITS - N_BITS) {1'b0}}, seen_neuron};
    assign sum_data = second_valid ? sum_read + second_value : '0;
    assign state_enable = reading && advance;
    assign state_from = at_neuron;
    assign state_write = (state == CLEAR && at < NEURONS) || (state == SWEEP && seen_valid && advance);
    assign state_to = (state == CLEAR) ? at_neuron : seen_neuron;
    assign voltage_data = (state == CLEAR) ? 24'sd0 : next_voltage;

    always_ff @(posedge clock) begin
        if (reset) begin
            state <= CLEAR;
            at <= 32'd0;
            now <= 32'd0;
            fired <= 32'd0;
            fed <= 32'd0;
            first_valid <= 1'b0;
            second_valid <= 1'b0;
            seen_valid <= 1'b0;
        end else begin
            first_valid <= pair_valid || state == FEED;
            first_fed <= state == FEED;
            first_neuron <= (state == FEED) ? fed_to : pair_neuron;
            first_count <= pair_count;
            second_valid <= first_valid;
            second_place <= first_place[S_BITS-1:0];
            second_value <= first_value[SUM_BITS-1:0];
            case (state)
                CLEAR: begin
                    at <= at + 32'd1;
                    if (at == DEPTH - 1) begin
                        state <= RUN;
                    end
                end
                RUN: begin
                    if (step_end) begin
                        state <= DRAIN;
                    end
                end
                DRAIN: begin
                    at <= 32'd0;
                    at_c <= '0;
                    at_y <= '0;
                    at_x <= '0;
                    if (!first_valid && !second_valid) begin
                        state <= SWEEP;
                    end
                end
                SWEEP: if (advance) begin
                    seen_valid <= reading;
                    seen_neuron <= at_neuron;
                    seen_c <= at_c;
                    seen_y <= at_y;
                    seen_x <= at_x;
                    if (reading) begin
                        at <= at + 32'd1;
                        if ({{(32 - X_BITS) {1'b0}}, at_x} != COLUMNS - 1) begin
                            at_x <= at_x + 1'b1;
                        end else begin
                            at_x <= '0;
                            if ({{(32 - Y_BITS) {1'b0}}, at_y} != ROWS - 1) begin
                                at_y <= at_y + 1'b1;
                            end else begin
                                at_y <= '0;
                                at_c <= at_c + 1'b1;
                            end
                        end
                    end
                    if (RECURRENT != 0 && seen_valid && spike) begin
                        fired <= fired + 32'd1;
                    end
                    if (!reading) begin
                        state <= TOKEN;
                    end
                end
                TOKEN: if (out_ready) begin
                    now <= (now == SLOTS - 1) ? 32'd0 : now + 32'd1;
                    fed <= 32'd0;
                    state <= (RECURRENT != 0) ? FETCH : RUN;
                end
                FETCH: begin  // fed_from is read in this cycle; the sums in flight are written
                    fed_to <= '0;
                    if (fed != fired) begin
                        state <= FEED;
                    end else if (!first_valid && !second_valid) begin
                        fired <= 32'd0;
                        state <= RUN;
                    end
                end
                default: begin  // FEED
                    fed_to <= fed_to + 1'b1;
                    if ({{(32 - N_BITS) {1'b0}}, fed_to} == NEURONS - 1) begin
                        fed <= fed + 32'd1;
                        state <= FETCH;
                    end
                end
            endcase
        end
    end
endmodule
