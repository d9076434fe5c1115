// Dense synapses: each input event names, one a cycle, every neuron and the place of its weight.
// 1 + NEURONS cycles an event. An event is (c, y, x) of a shape (C, ROWS, COLUMNS); `last` ends a step.
module sdcl_dense_walk #(
    parameter C_BITS = 1, Y_BITS = 1, X_BITS = 1, COUNT_BITS = 1,
    parameter ROWS = 1, COLUMNS = 1,
    parameter NEURONS = 1, N_BITS = 1, A_BITS = 1
) (
    input  logic                  clock,
    input  logic                  reset,
    input  logic                  in_valid,
    output logic                  in_ready,
    input  logic                  in_last,
    input  logic [C_BITS-1:0]     in_c,
    input  logic [Y_BITS-1:0]     in_y,
    input  logic [X_BITS-1:0]     in_x,
    input  logic [COUNT_BITS-1:0] in_count,
    input  logic                  accepting,      // the population takes pairs
    output logic                  step_end,
    output logic                  pair_valid,
    output logic [A_BITS-1:0]     pair_address,   // of the weight, read one cycle later
    output logic [N_BITS-1:0]     pair_neuron,
    output logic [COUNT_BITS-1:0] pair_count
);
    logic [31:0] flat, first;

    assign flat = ({{(32 - C_BITS) {1'b0}}, in_c} * ROWS + {{(32 - Y_BITS) {1'b0}}, in_y}) * COLUMNS
                + {{(32 - X_BITS) {1'b0}}, in_x};
    assign first = flat * NEURONS;
    assign in_ready = accepting && !pair_valid;
    assign step_end = in_valid && in_ready && in_last;

    always_ff @(posedge clock) begin
        if (reset) begin
            pair_valid <= 1'b0;
        end else if (!pair_valid) begin
            if (in_valid && in_ready && !in_last) begin
                pair_valid <= 1'b1;
                pair_address <= first[A_BITS-1:0];
                pair_neuron <= '0;
                pair_count <= in_count;
            end
        end else begin
            pair_address <= pair_address + 1'b1;
            pair_neuron <= pair_neuron + 1'b1;
            pair_valid <= {{(32 - N_BITS) {1'b0}}, pair_neuron} != NEURONS - 1;
        end
    end
endmodule
